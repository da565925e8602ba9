"""The SQL that a DBA runs once on production. We print it; we never run it.

Here: composing role, publication and slot from the policy. Not here: checking that it was done
(slot.require_prepared).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, join, literal, name, names, table

_ROLE = """do $$ begin
    if not exists (select from pg_roles where rolname = {role_text}) then
        create role {role} login replication;
    end if;
end $$"""

_PUBLICATION = """do $$ begin
    if not exists (select from pg_publication where pubname = {publication_text}) then
        create publication {publication} with (publish_via_partition_root = true);
    end if;
end $$"""

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
    the slot: the log before a publication exists cannot be read through it.
    """
    published = join(
        ",\n    ",
        (
            compose("{table} ({columns})", table=table(of), columns=names(columns))
            for of, columns in sorted(tables.items())
        ),
    )
    return (
        compose(_ROLE, role=name(role), role_text=literal(role)),
        compose(
            "grant connect on database {database} to {role}",
            database=name(database),
            role=name(role),
        ),
        compose(_PUBLICATION, publication=name(publication), publication_text=literal(publication)),
        compose(
            "alter publication {publication} set table\n    {tables}",
            publication=name(publication),
            tables=published,
        ),
        compose(_SLOT, slot=literal(slot)),
    )


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
