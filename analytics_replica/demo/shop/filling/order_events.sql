-- what the shop logged of each order, in the order of time; older months were dropped
insert into shop.order_events (id, order_id, kind, occurred_at, payload)
select
    row_number() over (order by e.occurred_at, o.number, e.kind),
    o.id,
    e.kind,
    e.occurred_at,
    case e.kind
        when 'placed' then jsonb_build_object(
            'channel', pg_temp.pick(o.number, 901, '{web,web,app,store}'),
            'ip', '10.' || pg_temp.dice(o.number, 902, 250) || '.7.' || o.number % 250,
            'email', buyer.email
        )
        when 'refunded' then jsonb_build_object(
            'channel', 'service', 'reason_code', 'R' || pg_temp.dice(o.number, 903, 9)
        )
        else jsonb_build_object('channel', 'system')
    end
from plan
cross join draft_order as o
cross join lateral (
    values
        ('placed', o.placed_at, true),
        ('paid', o.paid_at, o.stage in ('paid', 'shipped', 'delivered', 'refunded')),
        ('shipped', o.shipped_at, o.stage in ('shipped', 'delivered')),
        ('delivered', o.delivered_at, o.stage = 'delivered'),
        ('refunded', o.refunded_at, o.stage = 'refunded')
) as e (kind, occurred_at, happened)
left join draft_customer as c on c.id = o.customer_id
left join person as buyer on buyer.number = c.person
where e.happened and e.occurred_at >= plan.events_from
