{{ config(meta={
    'description': 'Captured money without an order would be in no report by product or customer.',
    'dagster': {'ref': {'name': 'fct_payment'}},
}) }}

select payments.payment_id
from {{ ref('fct_payment') }} as payments
left join {{ ref('fct_order') }} as orders on payments.order_id = orders.order_id
where payments.payment_status = 'captured' and orders.order_id is null
