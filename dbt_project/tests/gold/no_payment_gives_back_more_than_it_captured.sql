{{ config(severity='warn', meta={
    'description': 'Production allows it; each case is a question for accounting, not for the night.',
}) }}

select payment_id
from {{ ref('fct_payment') }}
where refunded_amount > captured_amount
