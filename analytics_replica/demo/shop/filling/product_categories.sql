insert into shop.product_categories (id, name, parent_id)
select
    k,
    case
        when k <= 8 then (array['Garden','Kitchen','Books','Toys','Sport','Office','Pets','Light'])[k]
        else 'Section ' || k
    end,
    case when k > 8 then 1 + k % 8 end
from generate_series(1, 40) as k
