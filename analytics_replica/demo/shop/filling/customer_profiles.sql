-- opt-ins spelt ten ways; notes that name e-mails, telephones and people; a telephone in jsonb
insert into shop.customer_profiles
    (customer_id, marketing_opt_in, birth_date, notes, attributes, updated_at)
select
    c.id,
    pg_temp.pick(c.id, 501, '{yes,Y,true,1,opted-in,no,N,false,0,opted out,yes,no,NULL}'),
    case when pg_temp.dice(c.id, 502, 10) > 1 then p.born end,
    case pg_temp.dice(c.id, 503, 9)
        when 0 then format('Call %s after 18h, ask for %s', p.phone_retyped, p.full_name)
        when 1 then format('moved mail to %s, old one bounces', p.other_email)
        when 2 then format('Password hint: %s. VIP', p.remark)
        when 3 then format('wife %s also orders; invoice to %s', p.full_name, p.email)
        when 4 then ''
        else null
    end,
    case
        when pg_temp.dice(c.id, 504, 12) = 0 then null
        when pg_temp.dice(c.id, 505, 3) = 0 then jsonb_build_object(
            'tier', pg_temp.pick(c.id, 506, '{gold,silver,bronze,Gold}'),
            'source', pg_temp.pick(c.id, 507, '{web,app,fair,partner}')
        )
        else jsonb_build_object(
            'tier', pg_temp.pick(c.id, 506, '{gold,silver,bronze,Gold}'),
            'source', pg_temp.pick(c.id, 507, '{web,app,fair,partner}'),
            'phone', p.phone_retyped
        )
    end,
    c.created_at + (plan.now - c.created_at) * (pg_temp.dice(c.id, 508, 1000) / 1000.0)
from plan
cross join draft_customer as c
join person as p on p.number = c.person
where pg_temp.dice(c.id, 509, 20) < 15
order by c.id
