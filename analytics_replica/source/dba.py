"""The SQL that a DBA runs once on production. We print it; we never run it.

Here: composing role, publication and slot from the policy. Not here: checking that it was done
(slot.require_prepared).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, dollar_tag, join, literal, name

_ROLE = """do $$ begin
    if not exists (select from pg_roles where rolname = {role_text}) then
        create role {role};
    end if;
end $$"""

_PUBLICATION = """do $$ begin
    if not exists (select from pg_publication where pubname = {publication_text}) then
        create publication {publication} with (publish_via_partition_root = true);
    end if;
end $$"""

_TABLES = """do {tag} -- the tables and columns that may leave production
declare
    wanted record;
    relation oid;
    is_full boolean;
    has_no_key boolean;
    hides_key boolean;
    hides_any boolean;
    problem text;
    published text[] := '{{}}';
begin
    for wanted in select * from (values
        {rows}
    ) as listed (schema_name, table_name, columns)
    loop
        relation := to_regclass(format('%I.%I', wanted.schema_name, wanted.table_name));
        -- a partition's own identity decides, so each one is looked at
        select bool_or(c.relreplident = 'f'),
               bool_or(c.relreplident <> 'f' and i.indexrelid is null),
               bool_or(exists (select from pg_attribute a where a.attrelid = c.oid
                       and a.attnum = any (i.indkey) and a.attname <> all (wanted.columns))),
               bool_or(exists (select from pg_attribute a where a.attrelid = c.oid
                       and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                       and a.attname <> all (wanted.columns)))
        into is_full, has_no_key, hides_key, hides_any
        from (select relation as oid union select relid from pg_partition_tree(relation)) as member
        join pg_class c on c.oid = member.oid and c.relkind = 'r'
        left join pg_index i on i.indrelid = c.oid and i.indimmediate and i.indisvalid
            and case c.relreplident when 'd' then i.indisprimary
                                    when 'i' then i.indisreplident end;
        problem := case
            when relation is null then 'does not exist here'
            when has_no_key then 'has no primary key that identifies rows, so publishing it would '
                'make its updates and deletes fail; give it one, or REPLICA IDENTITY FULL'
            when hides_key then 'would be published without a column of its key, so its updates '
                'and deletes would fail'
            when is_full and hides_any then 'has REPLICA IDENTITY FULL, with which PostgreSQL '
                'allows no column list, but replica.yaml drops a column of it' end;
        if problem is not null then
            raise exception using
                message = format('%I.%I %s', wanted.schema_name, wanted.table_name, problem),
                hint = 'The publication was not changed. Correct replica.yaml or the table, then '
                    'print the script again.';
        end if;
        published := published || (format('%I.%I', wanted.schema_name, wanted.table_name)
            || case when is_full then '' else ' (' || (
                select string_agg(quote_ident(c), ', ') from unnest(wanted.columns) c) || ')' end);
    end loop;
    execute {alter} || array_to_string(published, ', ');
end {tag}"""

_SLOT = """select pg_create_logical_replication_slot({slot}, 'pgoutput')
where not exists (select from pg_replication_slots where slot_name = {slot})"""


def dba_statements(
    *,
    role: str,
    database: str,
    slot: str,
    publication: str,
    tables: Mapping[TableName, Sequence[str]],
) -> tuple[Sql, ...]:
    """The statements in order; each may run again without harm.

    `tables` maps each table to the columns that may leave production. The publication comes before
    the slot: the log before a publication exists cannot be read through it. Where publishing would
    make writes of production fail, the script refuses, and changes nothing.
    """
    return (
        compose(_ROLE, role=name(role), role_text=literal(role)),
        compose("alter role {role} login replication", role=name(role)),
        compose(
            "grant connect on database {database} to {role}",
            database=name(database),
            role=name(role),
        ),
        compose(_PUBLICATION, publication=name(publication), publication_text=literal(publication)),
        _set_tables(publication, tables),
        compose(_SLOT, slot=literal(slot)),
    )


def _set_tables(publication: str, tables: Mapping[TableName, Sequence[str]]) -> Sql:
    """Lets production's catalog, which we do not read, decide how a table may be published."""
    rows = join(
        ",\n        ",
        (
            compose(
                "({schema}, {table}, array[{columns}])",
                schema=literal(of.schema),
                table=literal(of.name),
                columns=join(", ", (literal(column) for column in columns)),
            )
            for of, columns in sorted(tables.items())
        ),
    )
    alter = compose("alter publication {publication} set table ", publication=name(publication))
    tag = "$tables$"
    while tag in rows.text or tag in alter.text:
        tag = tag.replace("$tables", "$tables_")
    return compose(_TABLES, tag=dollar_tag(tag), rows=rows, alter=literal(alter.text))


_HEAD = """\
-- analytics-replica: what a DBA runs once on production (database {database}), as superuser.
-- It may run again after replica.yaml changed: it then only replaces the publication's columns.
--
-- What it gives: a role that may read the log and nothing else. It has no privilege on any table.
-- The publication names the columns; a column that is not named never leaves production.
--
-- Before: `wal_level = logical` in postgresql.conf (needs a restart); and in pg_hba.conf, for the
-- host that capture runs on:
--     host  {database}   {role}  <capture host>/32  scram-sha-256
--     host  replication  {role}  <capture host>/32  scram-sha-256
-- Recommended: max_slot_wal_keep_size, so that a dead reader can never fill the disk.
-- Afterwards: give the role a password (\\password {role}).
--
-- To stop everything at once (the kill switch):
--     select pg_drop_replication_slot({slot});
"""


def dba_script(
    *,
    role: str,
    database: str,
    slot: str,
    publication: str,
    tables: Mapping[TableName, Sequence[str]],
) -> str:
    """The whole script with its explanations, for `psql -f`."""
    statements = dba_statements(
        role=role, database=database, slot=slot, publication=publication, tables=tables
    )
    shown = {"database": database, "role": role, "slot": literal(slot).text}
    one_line = {key: value.replace("\n", " ") for key, value in shown.items()}
    return _HEAD.format(**one_line) + "\n" + "".join(f"{s};\n\n" for s in statements)
