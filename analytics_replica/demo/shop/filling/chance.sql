-- chance that is the same on every run: the n-th draw number `salt`, from 0 to sides - 1
create function pg_temp.dice(n bigint, salt integer, sides integer) returns integer
language sql immutable
as $$
    select ((hashint8extended(n, {seed}::bigint * 10000 + salt) & 9223372036854775807) % sides)
        ::integer
$$;

create function pg_temp.pick(n bigint, salt integer, choices text[]) returns text
language sql immutable
as $$ select choices[1 + pg_temp.dice(n, salt, cardinality(choices))] $$;
