-- one row per order: who, when, how far it got; by weeks, with busy and quiet weekdays and hours
create temporary table draft_order on commit drop as
with drawn as materialized (
    select
        i as number,
        (i - 1)::numeric / plan.orders as elapsed,
        pg_temp.dice(i, 201, 200) as link,
        date_trunc('week', plan.now at time zone 'UTC') at time zone 'UTC'
        + ((i - 1)::bigint * 78 / plan.orders - 77) * interval '7 days'
        + (array[0,0,0,1,1,2,2,2,3,3,3,4,4,4,4,5,5,6,6,6])[1 + pg_temp.dice(i, 202, 20)]
        * interval '1 day'
        + interval '6 hours'
        + (pg_temp.dice(i, 203, 32000) + pg_temp.dice(i, 204, 32000)) * interval '1 second'
            as drawn_at,
        plan.*
    from plan, generate_series(1, plan.orders) as i
),
placed as materialized (
    select
        d.*,
        -- this week is not over: what would lie ahead happened a week ago
        case when drawn_at > now then drawn_at - interval '7 days' else drawn_at end as placed_at,
        -- buyers are picked unevenly, and only among accounts that are old enough
        1 + least(
            pg_temp.dice(number, 206, 2000000000),
            pg_temp.dice(number, 207, 2000000000)
        )::bigint * (
            old_customers + floor((customers - old_customers) * greatest(elapsed - 0.03, 0))
        )::bigint / 2000000000 as buyer,
        1 + pg_temp.dice(number, 208, legacy_users) as legacy_number,
        pg_temp.dice(number, 209, 1000) as fate
    from drawn as d
),
linked as (
    select
        p.*,
        -- most orders know the account; some the old CRM's key as well, some only that, few nothing
        case
            when link < 166 then buyer
            when link < 176 then (legacy_number + 1) / 2 * legacy_step
        end as customer_id,
        case
            when link >= 166 and link < 176 then (legacy_number + 1) / 2 * 2
            when link >= 176 and link < 199 then legacy_number
        end as legacy_user
    from placed as p
)
select
    o.number,
    -- version 7: it begins with the time, so that new orders lie side by side in every index
    (
        lpad(to_hex((extract(epoch from placed_at) * 1000)::bigint), 12, '0') || '7'
        || overlay(
            substr(md5(o.number || ' ' || pg_temp.dice(o.number, 210, 2000000000)), 1, 19)
            placing '8' from 4
        )
    )::uuid as id,
    o.customer_id,
    l.legacy_key,
    coalesce(c.person, l.person) as person,
    case
        when placed_at > now - interval '3 days' then
            case when fate < 400 then 'new' when fate < 750 then 'paid' else 'shipped' end
        when placed_at > now - interval '10 days' then
            case
                when fate < 60 then 'cancelled'
                when fate < 160 then 'paid'
                when fate < 700 then 'shipped'
                else 'delivered'
            end
        when fate < 100 then 'cancelled'
        when fate < 190 then 'paid'
        when fate < 232 then 'refunded'
        else 'delivered'
    end as stage,
    pg_temp.pick(
        o.number, 211,
        '{EUR,EUR,EUR,EUR,EUR,EUR,EUR,EUR,eur,eur,USD,USD,usd,GBP,GBP,gbp}'
    ) as currency,
    placed_at,
    least(
        placed_at + (20 + pg_temp.dice(o.number, 212, 1200)) * interval '1 second', now
    ) as paid_at,
    least(
        placed_at + (7200 + pg_temp.dice(o.number, 213, 150000)) * interval '1 second', now
    ) as shipped_at,
    least(
        placed_at + (250000 + pg_temp.dice(o.number, 214, 400000)) * interval '1 second', now
    ) as delivered_at,
    least(
        placed_at + (700000 + pg_temp.dice(o.number, 215, 900000)) * interval '1 second', now
    ) as refunded_at
from linked as o
left join draft_customer as c on c.id = o.customer_id
left join draft_legacy as l on l.number = o.legacy_user
