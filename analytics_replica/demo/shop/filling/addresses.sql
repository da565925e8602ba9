-- every customer has a billing address, every fourth a second one
insert into shop.addresses
    (id, customer_id, kind, line1, line2, city, postcode, country, updated_at)
select
    row_number() over (order by c.id, kind),
    c.id,
    kind,
    case when kind = 'billing' then p.line1 else 'Flat 2, ' || p.line1 end,
    case pg_temp.dice(c.id, 701, 12)
        when 0 then 'c/o ' || p.full_name
        when 1 then 'Door ' || pg_temp.dice(c.id, 702, 90)
    end,
    p.city,
    case when pg_temp.dice(c.id, 703, 30) > 0 then p.postcode end,
    p.country,
    c.created_at + (plan.now - c.created_at) * (pg_temp.dice(c.id, 704, 1000) / 1000.0)
from plan
cross join draft_customer as c
join person as p on p.number = c.person
cross join unnest(array['billing', 'shipping']) as kind
where kind = 'billing' or pg_temp.dice(c.id, 705, 4) = 0
