-- the figures that every statement shares: one row
create temporary table plan on commit drop as
select
    %(now)s::timestamptz as now,
    %(history_from)s::timestamptz as history_from,
    %(events_from)s::timestamptz as events_from,
    %(customers)s::integer as customers,
    %(old_customers)s::integer as old_customers,
    %(legacy_users)s::integer as legacy_users,
    %(legacy_step)s::integer as legacy_step,
    %(products)s::integer as products,
    %(orders)s::integer as orders,
    %(tickets)s::integer as tickets
