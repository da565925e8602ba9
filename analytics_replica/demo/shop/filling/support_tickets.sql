-- bodies hold what people should not write into forms: names, telephones, cards
insert into shop.support_tickets
    (id, customer_id, email, subject, body, status, opened_at, closed_at)
select
    k,
    case when pg_temp.dice(k, 941, 8) > 0 then c.id end,
    p.email_typed,
    pg_temp.pick(k, 942, '{Where is my parcel?,Refund,Invoice,Wrong item}')
        || case when pg_temp.dice(k, 943, 3) = 0 then ' - ' || p.full_name else '' end,
    case pg_temp.dice(k, 944, 4)
        when 0 then format(E'Hello,\nplease call me at %s.\nRegards, %s', p.phone_typed, p.full_name)
        when 1 then format('My card %s was charged twice! %s', p.card, p.email)
        when 2 then format('I moved to %s, %s %s. %s', p.line1, p.postcode, p.city, p.full_name)
        else format('Security word is %s, reach me under %s', p.remark, p.phone_retyped)
    end,
    case when t.is_open then 'open' else pg_temp.pick(k, 945, '{closed,Closed,solved}') end,
    t.opened_at,
    case
        when not t.is_open
            then least(t.opened_at + pg_temp.dice(k, 946, 400000) * interval '1 second', plan.now)
    end
from plan
cross join generate_series(1, plan.tickets) as k
cross join lateral (
    select
        plan.now - (plan.now - plan.history_from) * (1 - k::numeric / plan.tickets)::float8
            - pg_temp.dice(k, 947, 3600) * interval '1 second' as opened_at,
        k > plan.tickets - 40 as is_open
) as t
join draft_customer as c on c.id = 1 + pg_temp.dice(k, 948, plan.old_customers)
join person as p on p.number = c.person
