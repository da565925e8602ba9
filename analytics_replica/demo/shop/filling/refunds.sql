-- all of the payment, or a part of it
insert into shop.refunds (id, payment_id, amount, reason, refunded_at)
select
    row_number() over (order by o.refunded_at, o.number),
    pay.id,
    case
        when pg_temp.dice(o.number, 921, 3) > 0 then pay.amount
        else round(pay.amount * (1 + pg_temp.dice(o.number, 922, 19)) / 20, 2)
    end,
    case pg_temp.dice(o.number, 923, 4)
        when 0 then 'damaged'
        when 1 then buyer.full_name || ' called from ' || buyer.phone_typed || ', wrong size'
        when 2 then 'see mail of ' || buyer.email
    end,
    o.refunded_at
from draft_order as o
join shop.payments as pay on pay.order_id = o.id and pay.status <> 'failed'
left join person as buyer on buyer.number = o.person
where o.stage = 'refunded'
