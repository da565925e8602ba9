select
    id as ticket_id,
    customer_id,
    email as email_masked,
    status as ticket_status,
    opened_at,
    closed_at
from {{ source('staging', 'support_tickets') }}
