select
    id as payment_id,
    order_id,
    method as method_text,
    amount,
    currency as currency_text,
    payer_email as payer_email_masked,
    card_number as card_last4,
    status as status_text,
    paid_at
from {{ source('staging', 'payments') }}
