insert into shop.products
    (id, sku, name, category_id, price, currency, description, is_active, updated_at)
select
    k,
    'SKU-' || lpad(k::text, 6, '0'),
    pg_temp.pick(k, 301, '{Small,Large,Folding,Blue,Green,Oak,Steel,Silent,Second}') || ' '
        || pg_temp.pick(k, 302, '{lamp,chair,kettle,ball,tent,desk,leash,novel,shelf,bowl}')
        || ' ' || k,
    case when pg_temp.dice(k, 303, 50) > 0 then 1 + pg_temp.dice(k, 304, 40) end,
    round((99 + pg_temp.dice(k, 305, 2000) * (1 + pg_temp.dice(k, 306, 12)))::numeric / 100, 2),
    pg_temp.pick(k, 307, '{EUR,EUR,EUR,eur}'),
    prose.description,
    pg_temp.dice(k, 308, 100) < 92,
    plan.now - pg_temp.dice(k, 309, 40000000) * interval '1 second'
from plan
cross join generate_series(1, plan.products) as k
join prose on prose.product_id = k
