{{ config(meta={
    'description': 'The people of dim_customer together are all accounts and all CRM records.',
    'dagster': {'ref': {'name': 'dim_customer'}},
}) }}

with people as (

    select
        coalesce(sum(shop_accounts), 0) as shop_accounts,
        coalesce(sum(crm_records), 0) as crm_records
    from {{ ref('dim_customer') }}

),

accounts as (select count(*) as shop_accounts from {{ ref('base_shop__customers') }}),

users as (select count(*) as crm_records from {{ ref('base_crm__legacy_users') }})

select 'the counts differ' as finding
from people
cross join accounts
cross join users
where
    people.shop_accounts <> accounts.shop_accounts
    or people.crm_records <> users.crm_records
