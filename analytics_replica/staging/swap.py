"""The swap: rebuilt tables become staging's, in one short transaction.

Here: taking the place of a table together with its privileges and with what reads it. Not here:
making the tables (side.py), when it is done (rebuild.py).

A view reads a table by its number, not by its name. So each view that reads a replaced table is
defined again, word for word, when the new table has the name: it keeps its own number, its
privileges and its readers, and views on top of it notice nothing. Where that cannot be (the new
table has another type, the view is another role's), views of gold_a and gold_b are dropped, for dbt
makes them again; with any other view nothing is swapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import compose, join, keyword, name, table
from analytics_replica.staging import bookkeeping, ddl
from analytics_replica.staging.ledger import AppliedTable
from analytics_replica.staging.plans import removable_views
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.warehouse import Transaction

ASIDE: Final = "analytics_replica_replaced"
"""Holds the replaced tables until the end of the transaction: names of indexes are free then."""

_READERS: Final = """
-- the views that read replaced tables themselves, to be defined again
create temporary table readers (
    view oid primary key, schema text not null, name text not null, options text not null,
    definition text not null
) on commit drop
"""

_READING: Final = """
insert into pg_temp.readers
select v.oid, n.nspname, v.relname,
    coalesce('with (' || array_to_string(v.reloptions, ', ') || ')', ''), pg_get_viewdef(v.oid)
from pg_class v
join pg_namespace n on n.oid = v.relnamespace
where v.relkind = 'v' and pg_has_role(v.relowner, 'usage') and v.oid in (
    select rule.ev_class
    from pg_depend d join pg_rewrite rule on rule.oid = d.objid
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
        and d.refobjid = to_regclass($1)
)
on conflict (view) do nothing
"""

_DEFINE_AGAIN: Final = """
do $$
-- the names in their definitions mean the new tables now; a view that does not fit them stays as
-- it is, and is found because it still reads an old one
declare
    reader record;
begin
    for reader in select * from pg_temp.readers order by view loop
        begin
            execute format('create or replace view %I.%I %s as %s',
                reader.schema, reader.name, reader.options, reader.definition);
        exception
            when invalid_table_definition or undefined_column or undefined_function
                or datatype_mismatch or grouping_error then null;
        end;
    end loop;
end
$$
"""

_PRIVILEGES: Final = """
-- what others may do with the table or its columns (no column: the table; no role: everybody)
select coalesce(a.attname, '')::text, acl.privilege_type, coalesce(r.rolname, '')::text,
    acl.is_grantable
from pg_class c
cross join lateral (
    select null::name as attname, c.relacl as acl
    union all
    select attname, attacl from pg_attribute where attrelid = c.oid and not attisdropped
) a
cross join lateral aclexplode(a.acl) acl
left join pg_roles r on r.oid = acl.grantee
where c.oid = to_regclass($1) and acl.grantee <> c.relowner
    and (acl.grantee = 0 or r.rolname is not null)
order by 1, 2, 3
"""

_GUARDED: Final = """
-- rules of somebody else that a new table would not have: row security, triggers
select c.relrowsecurity or exists (select from pg_policy where polrelid = c.oid)
    or exists (select from pg_trigger where tgrelid = c.oid and not tgisinternal)
from pg_class c where c.oid = to_regclass($1)
"""

_GRANT: Final = "grant {privilege} {columns} on table {table} to {role} {option}"


def swap(
    within: Transaction, schema: str, side: str, tables: Sequence[AppliedTable]
) -> tuple[TableName, ...]:
    """Puts these tables from the schema `side` in the place of staging's of the same name.

    The caller holds the apply's lock, and both are at the same position. Privileges of the old
    tables go over. Returns the views that dbt must make again. TableQuarantined, with everything
    to be rolled back, if something reads a table that cannot be kept, or guards it.
    """
    held = ddl.held_tables(within, schema)
    targets = {known.table: TableName(schema, known.staging_name) for known in tables}
    replaced = {source: target for source, target in targets.items() if target.name in held}
    for source, target in replaced.items():
        _require_replaceable(within, source, target, ours=held[target.name].ours)
    _find_readers(within, replaced)
    within.execute(compose("create schema {schema}", schema=name(ASIDE)))
    for source, target in targets.items():
        privileges = within.rows(_PRIVILEGES, table(target).text) if source in replaced else []
        if source in replaced:
            _move(within, target, ASIDE)
        _move(within, TableName(side, target.name), schema)
        _grant(within, target, privileges)
    within.execute(_DEFINE_AGAIN)
    dropped: list[TableName] = []
    for source, target in replaced.items():
        old = TableName(ASIDE, target.name)
        left = removable_views(within, old, source)
        ddl.drop_views(within, left)
        ddl.drop_table(within, old)
        dropped += left
    within.execute(compose("drop schema {schema}", schema=name(ASIDE)))
    return tuple(dropped)


def take_over(
    within: Transaction,
    tables: Sequence[AppliedTable],
    known: Mapping[TableName, AppliedTable],
    now: datetime,
) -> None:
    """Tells the ledger that staging has these tables now; `known` is what it had before."""
    for applied in tables:
        before = known.get(applied.table)
        rows = before.rows if before is not None and before.last_batch else None
        told = replace(applied, rows_before=rows, inserted=0, updated=0, deleted=0)
        bookkeeping.write_table(within, told, now)


def _require_replaceable(
    within: Transaction, source: TableName, target: TableName, *, ours: bool
) -> None:
    if not ours:
        raise quarantined(
            source,
            f"there is a {target} that is not ours",
            "Drop or rename it, or give the table an `alias` in replica.yaml.",
        )
    if within.scalar(_GUARDED, table(target).text):
        raise quarantined(
            source,
            f"{target} has row security or triggers of somebody else, which the rebuilt table "
            "does not have",
            "Take them off, swap, and put them on again.",
        )


def _find_readers(within: Transaction, replaced: Mapping[TableName, TableName]) -> None:
    within.execute(_READERS)
    for target in replaced.values():
        within.execute(_READING, table(target).text)
    views = within.rows("select schema, name from pg_temp.readers order by view")
    # First views, then tables: the order in which readers lock them, so none waits for the other.
    for locked in (*(TableName(*view) for view in views), *replaced.values()):
        within.execute(compose("lock table {table}", table=table(locked)))


def _move(within: Transaction, target: TableName, schema: str) -> None:
    within.execute(
        compose("alter table {table} set schema {schema}", table=table(target), schema=name(schema))
    )


def _grant(within: Transaction, target: TableName, privileges: Sequence[tuple[Any, ...]]) -> None:
    (held,) = (h for n, h in ddl.held_tables(within, target.schema).items() if n == target.name)
    for column, privilege, role, grantable in privileges:
        if column and column not in held.columns:
            continue
        within.execute(
            compose(
                _GRANT,
                privilege=keyword(privilege),
                columns=compose("({column})", column=name(column)) if column else join("", ()),
                table=table(target),
                role=name(role) if role else compose("public"),
                option=compose("with grant option" if grantable else ""),
            )
        )
