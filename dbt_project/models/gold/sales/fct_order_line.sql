select
    lines.order_id,
    lines.line_no,
    lines.product_id,
    orders.customer_key,
    coalesce(orders.is_test_order, false) as is_test_order,
    orders.placed_on,
    orders.currency,
    lines.quantity,
    lines.unit_price,
    lines.discount_rate,
    lines.quantity * lines.unit_price as gross_amount,
    round(lines.quantity * lines.unit_price * (1 - lines.discount_rate), 2) as net_amount
from {{ ref('base_shop__order_lines') }} as lines
left join {{ ref('int_orders__cleaned') }} as orders
    on lines.order_id = orders.order_id
