insert into shop.customers (id, email, full_name, phone, status, created_at, updated_at)
select
    c.id,
    case
        when c.is_test then split_part(p.email, '@', 1) || '@qa.shop.example'
        when c.id = c.person then p.email_typed
        else p.email_retyped
    end,
    case when pg_temp.dice(c.id, 401, 40) > 0 then p.full_name end,
    case
        when pg_temp.dice(c.id, 402, 100) < 8 then null
        when c.id = c.person then p.phone_typed
        else p.phone_retyped
    end,
    case
        when c.is_test then pg_temp.pick(c.id, 403, '{TEST,TEST,active}')
        else pg_temp.pick(
            c.id, 404, '{active,active,active,active,active,active,Active,ACTIVE,closed,Closed}'
        )
    end,
    c.created_at,
    c.created_at + (plan.now - c.created_at) * (pg_temp.dice(c.id, 405, 1000) / 1000.0)
from plan
cross join draft_customer as c
join person as p on p.number = c.person
order by c.id
