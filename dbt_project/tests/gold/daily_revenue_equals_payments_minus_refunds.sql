{{ config(meta={
    'description': 'The report neither loses money nor counts it twice, in any currency.',
    'dagster': {'ref': {'name': 'rpt_daily_revenue'}},
}) }}

with reported as (

    select currency, sum(net_revenue) as amount
    from {{ ref('rpt_daily_revenue') }}
    group by currency

),

paid as (

    select currency, sum(net_amount) as amount
    from {{ ref('fct_payment') }}
    where payment_status = 'captured' and not is_test_order
    group by currency

)

select coalesce(reported.currency, paid.currency) as currency
from reported
full outer join paid on reported.currency = paid.currency
where coalesce(reported.amount, 0) <> coalesce(paid.amount, 0)
