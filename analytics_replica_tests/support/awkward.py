"""A production that is as awkward as PostgreSQL allows: names, types, two tables of one name.

Here: its schema and rows. Not here: what is done with it (scenarios/test_init_first_night.py).
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = "a_name_with_exactly_sixty_three_bytes_which_is_all_that_fits_in"
assert len(LONGEST) == 63

SCHEMA: Final = f"""
create schema crm;
create schema "Sales Dept";
create type "Sales Dept"."Mood" as enum ('happy', 'so so', 'Grumpy''s');
create domain crm.share as numeric(5, 4) check (value between 0 and 1);
create type crm.place as (street text, "No." int);

create table crm.customers (
    id bigint generated always as identity primary key,
    "E-Mail" text,
    "Full Name" varchar(80),
    "Straße" text,
    birthday date,
    phone bigint,
    "order" int,
    "User" name,
    "IS_ACTIVE" boolean,
    "select" text,
    note text,
    tags text[],
    stay tstzrange,
    amount numeric,
    price numeric(10, 2),
    doubled numeric generated always as (price * 2) stored,
    mood "Sales Dept"."Mood",
    part crm.share,
    home crm.place,
    attrs jsonb,
    "lastIP" text,
    photo bytea,
    "имя" text,
    "a {{{{b}}}} {{% c %}}" int,
    "tab	and ""quotes"", 'both' \\ %s" int,
    password_hash text,
    seen_at timestamptz
);
create table "Sales Dept".customers (
    "Id" uuid primary key,
    status text,
    customer_id bigint
);
create table "Sales Dept"."Order ""Lines"", 2" (
    "Order" int,
    "line no." smallint,
    qty int,
    "Quantity" int,
    primary key ("line no.", "Order")
);
create table crm.{LONGEST} ({LONGEST} int primary key, plain text);
create table crm."select" (code text primary key, "from" int);
create table crm."Łąka" (e_mail text primary key, "değer" int);
create table crm.events (id bigint, at timestamptz not null, kind text, primary key (id, at))
    partition by range (at);
create table crm.events_2025 partition of crm.events
    for values from ('2025-01-01') to ('2026-01-01');
create table crm.events_2026 partition of crm.events
    for values from ('2026-01-01') to ('2027-01-01');
create table crm.without_key (line text);
create table crm.whole_rows (id int primary key, line text, token text);
alter table crm.whole_rows replica identity full;
create table crm.heap (kind text, n int);
alter table crm.heap replica identity full;
"""

ROWS: Final = f"""
insert into crm.customers overriding system value values
    (1, 'Ada@Example.org', 'Ada Löwe', 'Weg 1', '1815-12-10', 4930123456, 1, 'ada', true, 'x',
     'call ada@example.org', '{{a,"b c"}}', '[2026-01-01,infinity)', 'NaN', 1.50, default,
     'Grumpy''s', 0.5, '(Weg,1)', '{{"phone": "+49 30 123456"}}', '10.0.0.1', '\\xff00', 'Ада', 1,
     2, 'hunter2-and-more', '2026-01-01 12:00+00'),
    (2, null, '', null, null, null, null, null, null, null, null, null, 'empty', 1e40, null,
     default, 'so so', null, null, null, null, null, null, null, null, null, null);
insert into "Sales Dept".customers values
    ('00000000-0000-0000-0000-000000000001', 'Active', 1),
    ('00000000-0000-0000-0000-000000000002', null, null);
insert into "Sales Dept"."Order ""Lines"", 2" values (1, 1, 5, 6), (1, 2, 7, 8);
insert into crm.{LONGEST} values (1, 'x');
insert into crm."select" values ('a', 1), ('A', 2);
insert into crm."Łąka" values ('ada@example.org', 1);
insert into crm.events values (1, '2025-05-05', 'a'), (2, '2026-05-05', 'b');
insert into crm.without_key values ('x'), ('x');
insert into crm.whole_rows values (1, 'x', 'hunter2-too'), (2, 'y', null);
insert into crm.heap values ('a', 1), ('a', 1), ('b', null), ('b', null);
"""

CHANGES: Final = f"""
update crm.customers set "E-Mail" = 'ADA@example.org', amount = 'Infinity' where id = 1;
delete from crm.customers where id = 2;
update "Sales Dept"."Order ""Lines"", 2" set "Order" = 9 where "line no." = 2;
update crm."select" set "from" = 3;
update crm."Łąka" set "değer" = 2;
update crm.{LONGEST} set plain = null;
update crm.events set at = '2025-06-06' where id = 2;
insert into crm.events values (3, '2026-07-07', null);
truncate "Sales Dept".customers;
insert into "Sales Dept".customers select gen_random_uuid(), 'new', n from generate_series(1, 3) n;
update crm.without_key set line = 'y';
delete from crm.without_key;
update crm.whole_rows set line = 'z' where id = 2;
delete from crm.whole_rows where id = 1;
insert into crm.heap values ('a', 1);
update crm.heap set n = 2 where ctid in (select ctid from crm.heap where kind = 'b' limit 1);
"""

PERSONAL: Final = ("Ada@Example.org", "ada@example.org", "Löwe", "4930123456", "Ада", "hunter2")
"""Values that may not stand in any file outside production."""
