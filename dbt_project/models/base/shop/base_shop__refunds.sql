select
    id as refund_id,
    payment_id,
    amount,
    refunded_at
from {{ source('staging', 'refunds') }}
