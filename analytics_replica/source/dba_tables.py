"""The part of the DBA's script that puts tables into the publications, or refuses to.

Here: what production's catalog, which we do not read, must say of a table before it is published:
no write of production may fail because of it, and no row may be missed unseen. Not here: the rest
of the script (dba.py), the same questions asked of what is published (catalog_read.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, dollar_tag, join, literal
from analytics_replica.source.publications import MARK, Wanted, inserts_name

_TABLES: Final = """do {tag} -- the tables and columns that may leave production
declare
    version constant int := current_setting('server_version_num')::int;
    wanted record;
    here oid;
    t record;
    problem text;
    item text;
    updated text[] := '{{}}';
    inserted text[] := '{{}}';
    target record;
    origins jsonb;
    said text;
    marks text;
begin
    for wanted in select * from (values
        {rows}
    ) as listed (schema_name, table_name, columns, dropped, append_only)
    loop
        here := to_regclass(format('%I.%I', wanted.schema_name, wanted.table_name));
        -- and the columns that nobody listed, if the first pattern that fits them masks them
        wanted.columns := wanted.columns || array(
            select a.attname::text from pg_attribute a
            where a.attrelid = here and a.attnum > 0 and not a.attisdropped
                and a.attgenerated = '' and a.attname <> all (wanted.columns || wanted.dropped)
                and {by_pattern}
            order by a.attnum);
        -- a partition's own identity decides, so each one is looked at
        select max(r.relkind) as kind, bool_or(r.relispartition) as is_partition,
               bool_or(r.relpersistence <> 'p' or r.relkind not in ('r', 'p')) as is_odd,
               bool_or(r.relkind = 'r' and exists (select from pg_inherits h
                       where h.inhparent = r.oid)) as has_children,
               bool_or(c.relreplident = 'f') as is_full,
               bool_or(c.relreplident <> 'f' and i.indexrelid is null) as has_no_key,
               bool_or(exists (select from pg_attribute a where a.attrelid = c.oid
                       and a.attnum = any (i.indkey)
                       and a.attname <> all (wanted.columns))) as hides_key,
               bool_or(exists (select from pg_attribute a where a.attrelid = c.oid
                       and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                       and a.attname <> all (wanted.columns))) as hides_any,
               min(g.attname) as generated, bool_or(g.any) as has_generated,
               bool_or(r.relkind = 'p' and (r.relreplident <> 'd' or c.relreplident = 'i'
                       or not exists (select from pg_index k where k.indrelid = r.oid
                       and k.indisprimary and k.indimmediate and k.indisvalid))) as is_unsteady
        into t
        from pg_class r
        left join lateral (select r.oid as oid where r.relkind <> 'p'
                           union all select relid from pg_partition_tree(r.oid) where isleaf
                           ) as member on true
        left join pg_class c on c.oid = member.oid and c.relkind = 'r'
        left join pg_index i on i.indrelid = c.oid and i.indimmediate and i.indisvalid
            and case c.relreplident when 'd' then i.indisprimary
                                    when 'i' then i.indisreplident end
        left join lateral (select min(a.attname) filter (where a.attname = any (wanted.columns)
                               and (version < 180000 or a.attgenerated <> 's')) as attname,
                               count(*) > 0 as any
                           from pg_attribute a where a.attrelid = r.oid and a.attnum > 0
                           and a.attgenerated <> '' and not a.attisdropped) as g on true
        where r.oid = here;
        problem := case
            when here is null then 'does not exist here'
            when t.is_partition then 'is a partition; list the table that it is a partition of'
            when t.is_odd then 'is no ordinary table, or an unlogged one, of which there is no log'
            when t.has_children then 'has child tables (INHERITS), whose rows are published '
                'under their own names; list those instead, or make it a partitioned table'
            when t.generated is not null then format('has column %I, which is generated: '
                'production does not log it (PostgreSQL 18 does if it is stored); take it out of '
                'replica.yaml', t.generated)
            when version < 150000 and t.hides_any then 'has a column that replica.yaml drops, and '
                'PostgreSQL 14 can only publish all columns; mask it instead'
            when wanted.append_only then null
            when t.has_no_key then 'has no primary key that identifies rows, so publishing it '
                'would make its updates and deletes fail; give it one, or REPLICA IDENTITY FULL; '
                'or, if its rows are only ever inserted, say `append_only: true` in replica.yaml, '
                'and updates and deletes are not seen'
            when t.is_unsteady then 'is partitioned, and only a primary key of the whole table, '
                'with REPLICA IDENTITY DEFAULT, also identifies the rows of a partition that is '
                'made later: its updates and deletes would fail, or be misread; or say '
                '`append_only: true` in replica.yaml'
            when t.hides_key then 'would be published without a column of its key, so its updates '
                'and deletes would fail'
            when t.is_full and t.hides_any then 'has REPLICA IDENTITY FULL, with which PostgreSQL '
                'allows no column list, but replica.yaml drops a column of it'
            when t.is_full and t.has_generated and version >= 180000 then 'has REPLICA IDENTITY '
                'FULL and a generated column, so its updates and deletes would fail; give it a '
                'primary key and REPLICA IDENTITY DEFAULT' end;
        if problem is not null then
            raise exception using
                message = format('%I.%I %s', wanted.schema_name, wanted.table_name, problem),
                hint = 'The publication was not changed. Correct replica.yaml or the table, then '
                    'print the script again.';
        end if;
        item := format('only %I.%I', wanted.schema_name, wanted.table_name)
            || case when version < 150000 or (t.is_full and not wanted.append_only) then ''
               else ' (' || (select string_agg(quote_ident(c), ', ')
                             from unnest(wanted.columns) c) || ')' end;
        if wanted.append_only then inserted := inserted || item;
        else updated := updated || item; end if;
    end loop;
    for target in select p.oid, p.pubname, listed.items from pg_publication p
        join (values ({publication}, updated), ({inserts}, inserted)) as listed (name, items)
            on p.pubname = listed.name
    loop
        -- Setting other columns makes a new entry. A comment says as which one it goes on, so that
        -- capture can tell it from a table that was out of the publication for a time.
        said := coalesce(obj_description(target.oid, 'pg_publication'), '');
        select coalesce(jsonb_object_agg(m.prrelid,
            coalesce(substring(said from ' ' || m.oid || '=([0-9]+)'), m.oid::text)), '{{}}')
        into origins from pg_publication_rel m
        where m.prpubid = target.oid;
        if target.items <> '{{}}' then
            execute format('alter publication %I set table ', target.pubname)
                || array_to_string(target.items, ', ');
        else
            for item in select format('only %s', m.prrelid::regclass) from pg_publication_rel m
                where m.prpubid = target.oid
            loop
                execute format('alter publication %I drop table ', target.pubname) || item;
            end loop;
        end if;
        select {mark} || string_agg(m.oid || '=' || (origins ->> m.prrelid::text), ' ')
        into marks from pg_publication_rel m
        where m.prpubid = target.oid and origins ->> m.prrelid::text <> m.oid::text;
        if marks <> said then
            execute format('comment on publication %I is %L', target.pubname, marks);
        end if;
    end loop;
end {tag}"""


def set_tables(publication: str, wanted: Wanted) -> Sql:
    """The statement that makes the publications hold exactly these tables with these columns.

    It changes nothing if they do, and nothing if it refuses one of them.
    """
    rows = join(
        ",\n        ",
        (_row(table, columns, wanted) for table, columns in sorted(wanted.tables.items())),
    )
    names = {
        "publication": literal(publication),
        "inserts": literal(inserts_name(publication)),
        "by_pattern": _by_pattern(wanted.patterns),
    }
    tag = "$tables$"
    while any(tag in part.text for part in (rows, *names.values())):
        tag = tag.replace("$tables", "$tables_")
    return compose(_TABLES, tag=dollar_tag(tag), rows=rows, mark=literal(MARK), **names)


def _by_pattern(patterns: Sequence[tuple[str, bool]]) -> Sql:
    """A condition on the column `a`: the first pattern that fits it lets it leave."""
    if not patterns:
        return compose("false")
    listed = (
        compose(
            "({number}, {pattern}, {leaves})",
            number=compose(str(number)),
            pattern=literal(_as_like(pattern)),
            leaves=compose("true" if leaves else "false"),
        )
        for number, (pattern, leaves) in enumerate(patterns)
    )
    return compose(_FIRST_PATTERN, patterns=join(", ", listed))


_FIRST_PATTERN: Final = """(select p.leaves from (values {patterns}) as p (number, pattern, leaves)
                     where lower(concat_ws('.', wanted.schema_name, wanted.table_name, a.attname))
                         like p.pattern
                     order by p.number limit 1)"""


def _as_like(pattern: str) -> str:
    """The pattern, whose only wildcard is `*`, as SQL's `like` reads it."""
    plain = pattern.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return plain.replace("*", "%")


def _row(table: TableName, columns: Sequence[str], wanted: Wanted) -> Sql:
    return compose(
        "({schema}, {table}, array[{columns}], array[{dropped}]::text[], {append_only})",
        schema=literal(table.schema),
        table=literal(table.name),
        columns=join(", ", (literal(column) for column in columns)),
        dropped=join(", ", (literal(column) for column in wanted.dropped.get(table, ()))),
        append_only=compose("true" if table in wanted.append_only else "false"),
    )
