select
    id as order_id,
    customer_id,
    legacy_key,
    status as status_text,
    currency as currency_text,
    total as order_total,
    placed_at,
    updated_at
from {{ source('staging', 'orders') }}
