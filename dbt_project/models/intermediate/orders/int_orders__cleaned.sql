{#
  Orders with one spelling for each status and currency, and with their person. The shop's own
  customer number counts before the CRM's key. A status that nobody has named yet is `unknown`.
#}
{%- set spellings = {
    'placed': ['placed', 'new', 'open', 'created', 'pending', 'order placed', 'awaiting payment'],
    'paid': ['paid', 'payment received', 'payment ok', 'captured', 'payed'],
    'shipped': ['shipped', 'sent', 'dispatched', 'in transit'],
    'delivered': ['delivered', 'done', 'complete', 'completed'],
    'cancelled': ['cancelled', 'canceled', 'void', 'voided', 'cancelled by customer'],
    'refunded': ['refunded', 'refund', 'money back', 'returned'],
} -%}

with spelt as (

    select
        order_id,
        customer_id,
        upper(nullif(trim(legacy_key), '')) as legacy_key,
        {{ spelling('status_text') }} as status_spelling,
        {{ currency_code('currency_text') }} as currency,
        order_total,
        placed_at,
        updated_at
    from {{ ref('base_shop__orders') }}

),

-- a key that, spelt one way, would be two people is nobody's
crm_people as (

    select upper(trim(legacy_key)) as legacy_key, min(customer_key) as customer_key
    from {{ ref('int_customers__identities') }}
    where source_system = 'crm'
    group by upper(trim(legacy_key))
    having count(distinct customer_key) = 1

)

select
    spelt.order_id,
    coalesce(shop.customer_key, crm.customer_key) as customer_key,
    case
        when shop.customer_key is not null then 'shop'
        when crm.customer_key is not null then 'crm'
        else 'none'
    end as customer_link,
    coalesce(shop.is_test_account, false) as is_test_order,
    case
        {%- for status, words in spellings.items() %}
        when spelt.status_spelling in ('{{ words | join("', '") }}') then '{{ status }}'
        {%- endfor %}
        else 'unknown'
    end as order_status,
    spelt.currency,
    spelt.order_total,
    spelt.placed_at,
    {{ business_day('spelt.placed_at') }} as placed_on,
    spelt.updated_at
from spelt
left join {{ ref('int_customers__identities') }} as shop
    on spelt.customer_id = shop.customer_id
left join crm_people as crm
    on spelt.legacy_key = crm.legacy_key
