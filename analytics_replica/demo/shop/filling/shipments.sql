insert into shop.shipments
    (id, order_id, carrier, tracking_no, recipient, shipped_at, delivered_at)
select
    o.number,
    o.id,
    pg_temp.pick(o.number, 931, '{DHL,dhl,UPS,PostNord,GLS}'),
    case when pg_temp.dice(o.number, 932, 50) > 0 then r.parcel || '-' || o.number end,
    case pg_temp.dice(o.number, 933, 5) when 0 then upper(r.full_name) else r.full_name end,
    o.shipped_at,
    case when o.stage in ('delivered', 'refunded') then o.delivered_at end
from draft_order as o
left join person as r on r.number = o.person
where
    o.stage in ('shipped', 'delivered')
    or (o.stage = 'refunded' and pg_temp.dice(o.number, 934, 2) = 0)
