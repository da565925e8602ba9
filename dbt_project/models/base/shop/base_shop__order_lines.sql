select
    order_id,
    cast(line_no as integer) as line_no,
    product_id,
    quantity,
    unit_price,
    discount as discount_rate
from {{ source('staging', 'order_lines') }}
