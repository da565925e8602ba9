-- people who also have an account are known by the same e-mail or the same telephone, spelt anew
insert into crm.legacy_users (legacy_key, name, email, phone, registered_on, birth_date, country)
select
    l.legacy_key,
    p.legacy_name,
    case when by_email or l.customer_id is null then p.email_retyped else p.other_email end,
    case
        when not by_email then p.phone_retyped
        when pg_temp.dice(l.number, 601, 3) = 0 then p.phone_retyped
    end,
    to_char(
        plan.history_from - (200 + pg_temp.dice(l.number, 602, 3000)) * interval '1 day',
        'DD/MM/YYYY'
    ),
    case when pg_temp.dice(l.number, 603, 5) > 0 then to_char(p.born, 'DD/MM/YYYY') end,
    case pg_temp.dice(l.number, 604, 4)
        when 0 then lower(p.country)
        when 1 then case upper(p.country)
            when 'DE' then 'Germany' when 'AT' then 'Austria' when 'NL' then 'Netherlands'
            when 'FR' then 'France' when 'NO' then 'Norway' when 'GB' then 'United Kingdom'
            else 'USA'
        end
        else upper(p.country)
    end
from plan
cross join draft_legacy as l
cross join lateral (select pg_temp.dice(l.number, 605, 10) < 6 as by_email) as known
join person as p on p.number = l.person
order by l.number
