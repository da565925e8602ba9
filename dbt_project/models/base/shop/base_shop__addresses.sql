select
    id as address_id,
    customer_id,
    kind as address_kind,
    line1 as line1_token,
    city,
    postcode as postcode_token,
    country as country_text,
    updated_at
from {{ source('staging', 'addresses') }}
