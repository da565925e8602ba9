{{ config(severity='warn', meta={
    'description': 'A new spelling of a status does not stop the night, but somebody must name it.',
}) }}

select order_id
from {{ ref('fct_order') }}
where order_status = 'unknown'
