select
    id as product_id,
    sku,
    name as product_name,
    category_id,
    price as list_price,
    currency as currency_text,
    description as product_description,
    is_active,
    updated_at
from {{ source('staging', 'products') }}
