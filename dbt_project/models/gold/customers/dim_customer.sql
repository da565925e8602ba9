with records as (

    select
        identities.customer_key,
        identities.source_system,
        identities.customer_id,
        identities.is_test_account,
        accounts.account_status,
        accounts.email_masked,
        accounts.marketing_opt_in,
        accounts.birth_year,
        accounts.tier,
        accounts.acquisition_source,
        accounts.country_code,
        accounts.first_seen_on,
        -- the account that speaks for the person: an active one, else the last one touched
        row_number() over (
            partition by identities.customer_key
            order by
                case when accounts.account_status = 'active' then 0 else 1 end,
                case when identities.source_system = 'shop' then 0 else 1 end,
                accounts.updated_at desc,
                identities.customer_id desc,
                identities.legacy_key desc
        ) as preference
    from {{ ref('int_customers__identities') }} as identities
    inner join {{ ref('int_customers__accounts') }} as accounts
        on identities.record_key = accounts.record_key

),

people as (

    select
        customer_key,
        min(customer_id) as first_customer_id,
        sum(case when source_system = 'shop' then 1 else 0 end) as shop_accounts,
        sum(case when source_system = 'crm' then 1 else 0 end) as crm_records,
        max(case when is_test_account then 1 else 0 end) = 1 as is_test_account,
        -- one "no" on any account is a no
        min(case when marketing_opt_in then 1 when not marketing_opt_in then 0 end) = 1
            as marketing_opt_in,
        min(case account_status
            when 'active' then 1 when 'closed' then 2 when 'unknown' then 3 else 4
        end) as status_rank,
        max(birth_year) as birth_year,
        max(tier) as tier,
        max(acquisition_source) as acquisition_source,
        max(country_code) as country_code,
        min(first_seen_on) as first_seen_on
    from records
    group by customer_key

),

orders as (

    select
        customer_key,
        count(*) as orders_placed,
        min(placed_on) as first_ordered_on,
        max(placed_on) as last_ordered_on
    from {{ ref('int_orders__cleaned') }}
    where customer_key is not null
    group by customer_key

)

select
    people.customer_key,
    people.first_customer_id,
    cast(people.shop_accounts as integer) as shop_accounts,
    cast(people.crm_records as integer) as crm_records,
    case
        when people.is_test_account then 'test'
        when people.status_rank = 1 then 'active'
        when people.status_rank = 2 then 'closed'
        when people.status_rank = 3 then 'unknown'
        else 'crm_only'
    end as customer_status,
    people.is_test_account,
    main.email_masked,
    case
        when main.email_masked like '%@%'
            then {{ dbt.split_part('main.email_masked', "'@'", 2) }}
    end as email_domain,
    coalesce(main.country_code, people.country_code) as country_code,
    coalesce(main.birth_year, people.birth_year) as birth_year,
    people.marketing_opt_in,
    coalesce(main.tier, people.tier) as tier,
    coalesce(main.acquisition_source, people.acquisition_source) as acquisition_source,
    people.first_seen_on,
    cast(coalesce(orders.orders_placed, 0) as integer) as orders_placed,
    orders.first_ordered_on,
    orders.last_ordered_on
from people
inner join records as main
    on people.customer_key = main.customer_key
    and main.preference = 1
left join orders
    on people.customer_key = orders.customer_key
