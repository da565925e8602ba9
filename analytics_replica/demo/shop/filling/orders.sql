insert into shop.orders
    (id, customer_id, legacy_key, status, currency, total, placed_at, updated_at)
select
    o.id,
    o.customer_id,
    o.legacy_key,
    case o.stage
        when 'new' then pg_temp.pick(o.number, 801, '{new,NEW,placed}')
        when 'paid' then pg_temp.pick(o.number, 801, '{paid,PAID,"Paid ","payment received"}')
        when 'shipped' then pg_temp.pick(o.number, 801, '{shipped,SHIPPED,Shipped,"in transit"}')
        when 'delivered'
            then pg_temp.pick(o.number, 801, '{delivered,Delivered,DELIVERED,completed}')
        when 'refunded' then pg_temp.pick(o.number, 801, '{refunded,Refunded,"money back"}')
        else pg_temp.pick(o.number, 801, '{cancelled,canceled,CANCELLED}')
    end,
    o.currency,
    t.total,
    o.placed_at,
    case o.stage
        when 'paid' then o.paid_at
        when 'shipped' then o.shipped_at
        when 'delivered' then o.delivered_at
        when 'refunded' then o.refunded_at
        else o.placed_at
    end
from draft_order as o
join (
    -- the total is the exact sum of the lines, rounded once
    select number, round(sum(quantity * unit_price * (1 - discount)), 2) as total
    from draft_order_line
    group by number
) as t using (number)
order by o.number
