-- what the shop logged of each order; older months were dropped
insert into shop.order_events (id, order_id, kind, occurred_at, payload)
select
    o.number * 5 + e.step,
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
        else '{"channel": "system"}'::jsonb
    end
from plan
cross join draft_order as o
cross join lateral (
    values
        (1, 'placed', o.placed_at, true),
        (2, 'paid', o.paid_at, o.stage in ('paid', 'shipped', 'delivered', 'refunded')),
        (3, 'shipped', o.shipped_at, o.stage in ('shipped', 'delivered')),
        (4, 'delivered', o.delivered_at, o.stage = 'delivered'),
        (5, 'refunded', o.refunded_at, o.stage = 'refunded')
) as e (step, kind, occurred_at, happened)
left join person as buyer on buyer.number = o.person and e.step = 1
where e.happened and e.occurred_at >= plan.events_from
