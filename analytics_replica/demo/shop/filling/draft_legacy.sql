-- the old CRM: every second user has an account in the shop as well
create temporary table draft_legacy on commit drop as
select
    j as number,
    'CRM-' || lpad(j::text, 6, '0') as legacy_key,
    case when j % 2 = 0 then j / 2 * plan.legacy_step end as customer_id,
    case when j % 2 = 0 then c.person else plan.customers + j end as person
from plan
cross join generate_series(1, plan.legacy_users) as j
left join draft_customer as c on j % 2 = 0 and c.id = j / 2 * plan.legacy_step
