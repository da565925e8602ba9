-- one to five lines per order; some products sell far better than others; prices moved since
create temporary table draft_order_line on commit drop as
select
    o.number,
    o.id as order_id,
    line_no::smallint as line_no,
    p.id as product_id,
    (array[1,1,1,1,1,1,2,2,3,6])[1 + pg_temp.dice(o.number, 220 + line_no, 10)] as quantity,
    round(p.price * (20 - pg_temp.dice(o.number, 230 + line_no, 3)) / 20, 2) as unit_price,
    (array[0,0,0,0,0,0,0,0.05,0.1,0.125])[1 + pg_temp.dice(o.number, 240 + line_no, 10)]
        ::numeric(5, 4) as discount
from plan
cross join draft_order as o
cross join generate_series(
    1, (array[1,1,1,2,2,2,2,3,3,5])[1 + pg_temp.dice(o.number, 220, 10)]
) as line_no
join shop.products as p on p.id = 1 + least(
    pg_temp.dice(o.number, 250 + line_no, plan.products),
    pg_temp.dice(o.number, 260 + line_no, plan.products)
)
