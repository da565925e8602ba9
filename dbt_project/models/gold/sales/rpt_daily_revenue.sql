-- money counts on the day it moved: a refund lowers the day of the refund, not of the payment
with moves as (

    select
        paid_on as revenue_on,
        currency,
        1 as captured_payments,
        captured_amount,
        0 as refunds,
        cast(0 as numeric(14, 2)) as refunded_amount
    from {{ ref('fct_payment') }}
    where payment_status = 'captured' and not is_test_order

    union all

    select
        {{ business_day('refunds.refunded_at') }} as revenue_on,
        payments.currency,
        0 as captured_payments,
        cast(0 as numeric(14, 2)) as captured_amount,
        1 as refunds,
        refunds.amount as refunded_amount
    from {{ ref('base_shop__refunds') }} as refunds
    inner join {{ ref('fct_payment') }} as payments
        on refunds.payment_id = payments.payment_id
    where payments.payment_status = 'captured' and not payments.is_test_order

)

select
    revenue_on,
    currency,
    cast(sum(captured_payments) as integer) as captured_payments,
    sum(captured_amount) as captured_amount,
    cast(sum(refunds) as integer) as refunds,
    sum(refunded_amount) as refunded_amount,
    sum(captured_amount) - sum(refunded_amount) as net_revenue
from moves
group by revenue_on, currency
