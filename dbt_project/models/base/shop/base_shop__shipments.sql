select
    id as shipment_id,
    order_id,
    carrier,
    tracking_no as tracking_no_token,
    recipient as recipient_token,
    shipped_at,
    delivered_at
from {{ source('staging', 'shipments') }}
