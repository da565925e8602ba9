-- who stands behind each account: three in a hundred are a second account of somebody known
create temporary table draft_customer on commit drop as
select
    k as id,
    case
        when k > 20 and pg_temp.dice(k, 101, 100) < 3 then 1 + pg_temp.dice(k, 102, k / 2)
        else k
    end as person,
    pg_temp.dice(k, 103, 100) = 0 as is_test,
    -- seven in ten accounts are older than the history of orders
    case
        when k <= plan.old_customers then plan.history_from
            - (plan.old_customers - k) * (interval '900 days' / plan.old_customers)
        else plan.history_from
            + (k - plan.old_customers) * ((plan.now - plan.history_from)
                                          / (plan.customers - plan.old_customers + 1))
    end - pg_temp.dice(k, 104, 7200) * interval '1 second' as created_at
from plan, generate_series(1, plan.customers) as k
