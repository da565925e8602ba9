-- a captured payment carries the order's total; some attempts failed before
insert into shop.payments
    (id, order_id, method, amount, currency, payer_email, card_number, status, paid_at)
select
    o.number * 2 - attempt.failed::integer,
    o.id,
    way.method,
    s.total,
    o.currency,
    case when pg_temp.dice(o.number, 911, 25) > 0 then payer.email_typed end,
    case when way.method = 'card' then payer.card end,
    case
        when attempt.failed then 'failed'
        else pg_temp.pick(o.number, 912, '{captured,captured,captured,CAPTURED}')
    end,
    case when attempt.failed then o.placed_at else o.paid_at end
from draft_order as o
join shop.orders as s on s.id = o.id
cross join lateral (
    select pg_temp.pick(o.number, 913, '{card,card,card,paypal,invoice}') as method
) as way
cross join lateral (values (false), (true)) as attempt (failed)
left join person as payer on payer.number = o.person
where
    (not attempt.failed and o.stage in ('paid', 'shipped', 'delivered', 'refunded'))
    or (attempt.failed and o.stage <> 'new' and pg_temp.dice(o.number, 914, 50) = 0)
