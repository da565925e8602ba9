"""Staging's tables: made from the landed columns, and widened as production widens.

Here: what the catalog says of them, and the statements that make and alter them. Not here: what
must be altered (plans.py), rows (merge.py, multiset.py).

Only the key's columns are NOT NULL: a column may vanish from production, and then new rows have
none. Every table carries `_replica_lsn` and `_replica_committed_at` of the change that last
touched the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from analytics_replica.domain.batches import COMMITTED_AT, LSN
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import (
    Sql,
    compose,
    join,
    literal,
    name,
    names,
    table,
    type_name,
)
from analytics_replica.staging.shapes import Shape, ShapeColumn
from analytics_replica.staging.warehouse import Transaction

_HELD: Final = """
-- the tables of a schema, their columns in order, and each column's place in the primary key
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       array_position(i.indkey::int2[], a.attnum)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by c.relname, a.attnum
"""

_DEPENDENTS: Final = """
-- every view that reads the table, itself or through other views
with recursive reading as (
    select to_regclass($1)::oid as relation
    union
    select rule.ev_class
    from reading
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = reading.relation
        and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite rule on rule.oid = d.objid
)
select distinct n.nspname::text, c.relname::text, c.relkind::text
from reading
join pg_class c on c.oid = reading.relation
join pg_namespace n on n.oid = c.relnamespace
where c.oid <> to_regclass($1)
order by 1, 2
"""


_CREATE: Final = """
create table {table} (
    {columns}, {lsn} pg_lsn not null, {committed_at} timestamp with time zone
)
"""

_SYSTEM: Final = {"lsn": name(LSN), "committed_at": name(COMMITTED_AT)}

MEANINGS: Final = {
    LSN: "Where in production's log the change was committed that last touched this row.",
    COMMITTED_AT: "When it was committed, by production's clock; NULL for rows of a first copy.",
}
"""What the comments of our own columns say."""


@dataclass(frozen=True, slots=True)
class Dependent:
    """A view that reads a staging table; `plain` if it is not a materialized one."""

    name: TableName
    plain: bool


@dataclass(frozen=True, slots=True)
class HeldTable:
    """A table as the warehouse has it: its columns' types by name, and its primary key."""

    columns: Mapping[str, str]
    key: tuple[str, ...]

    @property
    def ours(self) -> bool:
        """True if it is a table that we made."""
        return LSN in self.columns and COMMITTED_AT in self.columns


def ensure_schema(within: Transaction, schema: str) -> None:
    """The schema exists. Repeatable; the caller holds the apply's lock."""
    if within.scalar("select not exists (select from pg_namespace where nspname = $1)", schema):
        within.execute(compose("create schema {schema}", schema=name(schema)))


def held_tables(within: Transaction, schema: str) -> dict[str, HeldTable]:
    """The tables of this schema by name; also views and others, which are never ours."""
    found = {}
    for relation, rows in groupby(within.rows(_HELD, schema), key=lambda row: row[0]):
        columns = list(rows)
        placed = sorted((row[3], row[1]) for row in columns if row[3] is not None)
        found[relation] = HeldTable({r[1]: r[2] for r in columns}, tuple(n for _, n in placed))
    return found


def dependents(within: Transaction, target: TableName) -> list[Dependent]:
    """Every view and materialized view that reads the table, itself or through others."""
    rows = within.rows(_DEPENDENTS, table(target).text)
    return [Dependent(TableName(schema, name), kind == "v") for schema, name, kind in rows]


def about(source: TableName) -> str:
    """What the comment of a staging table begins with."""
    return f"Masked current state of {source}. analytics-replica writes it; changes are lost."


def create_table(within: Transaction, target: TableName, shape: Shape) -> None:
    """Makes the table, empty and without its primary key, which is built after the rows."""
    columns = join(", ", (_definition(column) for column in shape.columns))
    within.execute(compose(_CREATE, table=table(target), columns=columns, **_SYSTEM))
    said = literal(about(shape.table))
    within.execute(compose("comment on table {table} is {text}", table=table(target), text=said))
    for column, meaning in MEANINGS.items():
        within.execute(
            compose(
                "comment on column {table}.{column} is {text}",
                table=table(target),
                column=name(column),
                text=literal(meaning),
            )
        )


def finish_table(within: Transaction, target: TableName, shape: Shape) -> None:
    """Builds the primary key over the rows that are there, and tells the planner about them."""
    if shape.key:
        within.execute(
            compose(
                "alter table {table} add primary key ({key})",
                table=table(target),
                key=names(shape.key),
            )
        )
    within.execute(compose("analyze {table}", table=table(target)))


def add_columns(within: Transaction, target: TableName, columns: Iterable[ShapeColumn]) -> None:
    """Adds these columns; rows that are there have NULL in them."""
    for column in columns:
        within.execute(
            compose(
                "alter table {table} add column {definition}",
                table=table(target),
                definition=_definition(column),
            )
        )


def drop_columns(within: Transaction, target: TableName, columns: Iterable[str]) -> None:
    """Drops these columns, which no view may read any more."""
    for column in columns:
        within.execute(
            compose(
                "alter table {table} drop column {column}", table=table(target), column=name(column)
            )
        )


def widen_columns(within: Transaction, target: TableName, columns: Iterable[ShapeColumn]) -> None:
    """Gives these columns their wider types, all in one rewrite. No view may read the table."""
    changes = [
        compose(
            "alter column {column} type {type}",
            column=name(column.name),
            type=type_name(column.staging_type),
        )
        for column in columns
    ]
    if changes:
        within.execute(
            compose(
                "alter table {table} {changes}", table=table(target), changes=join(", ", changes)
            )
        )


def rename_table(within: Transaction, target: TableName, to: str) -> None:
    """Gives the table another name in its schema; views that read it go on reading it."""
    within.execute(
        compose("alter table {table} rename to {name}", table=table(target), name=name(to))
    )


def drop_views(within: Transaction, views: Iterable[TableName]) -> None:
    """Drops these views; one that went with another before is no error."""
    for view in views:
        within.execute(compose("drop view if exists {view} cascade", view=table(view)))


def drop_table(within: Transaction, target: TableName) -> None:
    """Drops the table, which no view may read any more."""
    within.execute(compose("drop table {table}", table=table(target)))


def _definition(column: ShapeColumn) -> Sql:
    return compose("{column} {type}", column=name(column.name), type=type_name(column.staging_type))
