select
    id as customer_id,
    email as email_masked,
    full_name as full_name_token,
    phone as phone_token,
    status as account_status,
    created_at,
    updated_at
from {{ source('staging', 'customers') }}
