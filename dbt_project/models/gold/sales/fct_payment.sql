select
    payments.payment_id,
    payments.order_id,
    orders.customer_key,
    coalesce(orders.is_test_order, false) as is_test_order,
    payments.payment_status,
    payments.payment_method,
    payments.currency,
    payments.amount,
    payments.captured_amount,
    payments.refunded_amount,
    payments.captured_amount - payments.refunded_amount as net_amount,
    payments.paid_at,
    payments.paid_on
from {{ ref('int_orders__payments') }} as payments
left join {{ ref('int_orders__cleaned') }} as orders
    on payments.order_id = orders.order_id
