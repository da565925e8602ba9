select
    id as event_id,
    order_id,
    kind as event_kind,
    occurred_at,
    payload
from {{ source('staging', 'order_events') }}
