{{ config(meta={
    'description': 'What fct_order says was captured and refunded is what fct_payment says.',
    'dagster': {'ref': {'name': 'fct_order'}},
}) }}

with by_order as (

    select sum(captured_amount) as captured, sum(refunded_amount) as refunded
    from {{ ref('fct_order') }}

),

by_payment as (

    select sum(captured_amount) as captured, sum(refunded_amount) as refunded
    from {{ ref('fct_payment') }}

)

select 'the sums differ' as finding
from by_order
cross join by_payment
where by_order.captured <> by_payment.captured or by_order.refunded <> by_payment.refunded
