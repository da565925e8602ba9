{{ config(materialized='view') }}

{#
  Payments with one spelling for each status, method and currency, and what was given back of them.
  Only money that was captured can be given back: refunds of other payments count for nothing.
#}
with refunded as (

    select
        payment_id,
        count(*) as refunds,
        sum(amount) as refunded_amount
    from {{ ref('base_shop__refunds') }}
    group by payment_id

),

spelt as (

    select
        payment_id,
        order_id,
        case
            when {{ spelling('status_text') }} = 'captured' then 'captured'
            when {{ spelling('status_text') }} in ('failed', 'declined') then 'failed'
            when {{ spelling('status_text') }} in ('pending', 'authorised', 'authorized')
                then 'pending'
            else 'unknown'
        end as payment_status,
        coalesce({{ spelling('method_text') }}, 'unknown') as payment_method,
        {{ currency_code('currency_text') }} as currency,
        amount,
        paid_at
    from {{ ref('base_shop__payments') }}

)

select
    spelt.payment_id,
    spelt.order_id,
    spelt.payment_status,
    spelt.payment_method,
    spelt.currency,
    spelt.amount,
    case when spelt.payment_status = 'captured' then spelt.amount else 0 end as captured_amount,
    case
        when spelt.payment_status = 'captured' then coalesce(refunded.refunded_amount, 0) else 0
    end as refunded_amount,
    spelt.paid_at,
    {{ business_day('spelt.paid_at') }} as paid_on
from spelt
left join refunded on spelt.payment_id = refunded.payment_id
