select
    customer_id,
    marketing_opt_in as marketing_opt_in_text,
    birth_date as birth_year,
    attributes,
    updated_at
from {{ source('staging', 'customer_profiles') }}
