select
    products.product_id,
    products.sku,
    products.product_name,
    products.category_id,
    categories.category_name,
    parents.category_name as parent_category_name,
    products.list_price,
    {{ currency_code('products.currency_text') }} as currency,
    products.is_active,
    products.updated_at
from {{ ref('base_shop__products') }} as products
left join {{ ref('base_shop__product_categories') }} as categories
    on products.category_id = categories.category_id
left join {{ ref('base_shop__product_categories') }} as parents
    on categories.parent_category_id = parents.category_id
