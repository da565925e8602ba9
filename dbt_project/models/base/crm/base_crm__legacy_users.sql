select
    legacy_key,
    name as full_name_token,
    email as email_masked,
    phone as phone_token,
    {{ european_date('registered_on') }} as registered_on,
    country as country_text
from {{ source('staging', 'legacy_users') }}
