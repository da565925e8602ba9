{{ config(materialized='view') }}

{#
  What each record says about its person, spelt one way. Opt-ins are spelt five ways in the shop;
  a spelling that is not known is null, which is not consent.
#}
with billing_countries as (

    select
        customer_id,
        {{ country_code('country_text') }} as country_code,
        row_number() over (
            partition by customer_id
            order by case when {{ spelling('address_kind') }} = 'billing' then 0 else 1 end,
                updated_at desc, address_id desc
        ) as preference
    from {{ ref('base_shop__addresses') }}

)

select
    'shop:' || cast(customers.customer_id as {{ dbt.type_string() }}) as record_key,
    case {{ spelling('customers.account_status') }}
        when 'active' then 'active'
        when 'closed' then 'closed'
        when 'test' then 'test'
        else 'unknown'
    end as account_status,
    nullif(customers.email_masked, '') as email_masked,
    case
        when {{ spelling('profiles.marketing_opt_in_text') }}
            in ('yes', 'y', 'true', 't', '1', 'on', 'opted in', 'opt in') then true
        when {{ spelling('profiles.marketing_opt_in_text') }}
            in ('no', 'n', 'false', 'f', '0', 'off', 'opted out', 'opt out') then false
    end as marketing_opt_in,
    profiles.birth_year,
    {{ spelling("profiles.attributes ->> 'tier'") }} as tier,
    {{ spelling("profiles.attributes ->> 'source'") }} as acquisition_source,
    billing_countries.country_code,
    {{ business_day('customers.created_at') }} as first_seen_on,
    customers.updated_at
from {{ ref('base_shop__customers') }} as customers
left join {{ ref('base_shop__customer_profiles') }} as profiles
    on customers.customer_id = profiles.customer_id
left join billing_countries
    on customers.customer_id = billing_countries.customer_id
    and billing_countries.preference = 1

union all

select
    'crm:' || legacy_key as record_key,
    'crm_only' as account_status,
    nullif(email_masked, '') as email_masked,
    cast(null as boolean) as marketing_opt_in,
    cast(null as integer) as birth_year,
    cast(null as {{ dbt.type_string() }}) as tier,
    cast(null as {{ dbt.type_string() }}) as acquisition_source,
    {{ country_code('country_text') }} as country_code,
    registered_on as first_seen_on,
    cast(null as timestamp with time zone) as updated_at
from {{ ref('base_crm__legacy_users') }}
