{#
  Which records are the same person. A record is an account of the shop or a user of the old CRM.

  1. A test account (by its status, or by an e-mail of the testers' own domain, which masking keeps)
     is nobody: it is linked to no other record.
  2. Equal e-mails are one person (tokens of equal e-mails are equal, whatever their spelling).
     An e-mail on more than `shared_mailbox` records is a mailbox of many people: it links nobody.
  3. A phone number links one person of the CRM with one person of the shop, if nobody else has it.
     A number that several people of one side share is a household or a switchboard: it links nobody.
  4. Links add up: if A is B and B is C, then A is C.
  5. A person is known by their first record: the CRM's before the shop's, for the CRM no longer
     grows, then the smallest key. So a new account of a known person does not rename them.
#}
{%- set shared_mailbox = 10 -%}
{%- set testers_domain = 'qa.shop.example' -%}

with recursive all_records as (

    select
        'crm:' || legacy_key as record_key,
        'crm' as source_system,
        cast(null as bigint) as customer_id,
        legacy_key,
        email_masked,
        phone_token,
        false as is_test_account
    from {{ ref('base_crm__legacy_users') }}

    union all

    select
        'shop:' || cast(customer_id as {{ dbt.type_string() }}) as record_key,
        'shop' as source_system,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as legacy_key,
        email_masked,
        phone_token,
        coalesce({{ spelling('account_status') }} = 'test', false)
            or coalesce(email_masked like '%@{{ testers_domain }}', false) as is_test_account
    from {{ ref('base_shop__customers') }}

),

records as (

    select
        record_key,
        source_system,
        customer_id,
        legacy_key,
        is_test_account,
        case when not is_test_account and email_masked like '%@%' then email_masked end as email,
        case when not is_test_account then nullif(phone_token, '') end as phone,
        row_number() over (order by source_system, customer_id, legacy_key) as record_no
    from all_records

),

mailboxes as (

    select email, min(record_no) as first_record_no
    from records
    where email is not null
    group by email
    having count(*) <= {{ shared_mailbox }}

),

-- rule 2: records with one mailbox are one group, known by its first record
grouped as (

    select
        records.record_no,
        records.record_key,
        records.source_system,
        records.customer_id,
        records.legacy_key,
        records.is_test_account,
        records.phone,
        coalesce(mailboxes.first_record_no, records.record_no) as group_no
    from records
    left join mailboxes on records.email = mailboxes.email

),

-- rule 3: the number's holders are exactly one group on either side
phone_links as (

    select
        min(case when source_system = 'crm' then group_no end) as crm_group_no,
        min(case when source_system = 'shop' then group_no end) as shop_group_no
    from grouped
    where phone is not null
    group by phone
    having
        count(distinct case when source_system = 'crm' then group_no end) = 1
        and count(distinct case when source_system = 'shop' then group_no end) = 1

),

links as (

    select crm_group_no as from_group_no, shop_group_no as to_group_no
    from phone_links
    where crm_group_no <> shop_group_no

    union

    select shop_group_no as from_group_no, crm_group_no as to_group_no
    from phone_links
    where crm_group_no <> shop_group_no

),

-- rule 4: every group that can be reached from a linked group
walk (start_group_no, group_no) as (

    select from_group_no, from_group_no
    from links

    union

    select walk.start_group_no, links.to_group_no
    from walk
    inner join links on walk.group_no = links.from_group_no

),

-- rule 5: the smallest group that reaches this one
first_groups as (

    select group_no, min(start_group_no) as first_group_no
    from walk
    group by group_no

),

resolved as (

    select
        grouped.record_no,
        grouped.record_key,
        grouped.source_system,
        grouped.customer_id,
        grouped.legacy_key,
        grouped.is_test_account,
        coalesce(first_groups.first_group_no, grouped.group_no) as person_no
    from grouped
    left join first_groups on grouped.group_no = first_groups.group_no

)

select
    resolved.record_key,
    resolved.source_system,
    resolved.customer_id,
    resolved.legacy_key,
    {{ dbt.hash('first_records.record_key') }} as customer_key,
    resolved.is_test_account
from resolved
inner join records as first_records on resolved.person_no = first_records.record_no
