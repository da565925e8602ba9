"""Comments of staging's tables and columns: production's, behind what we say ourselves.

Here: which comment each has, and changing those that differ. Not here: taking personal data out of
them (landing.definitions), the tables (ddl.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from analytics_replica.domain.definitions import TableDefinition
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, literal, name, table
from analytics_replica.staging.ddl import MEANINGS, about
from analytics_replica.staging.warehouse import Transaction

_HELD: Final = """
-- every table of a schema with its comment, and every column with its own
select c.relname::text, a.attname::text,
       case when a.attname is null then obj_description(c.oid, 'pg_class')
            else col_description(c.oid, a.attnum) end
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join lateral (
    select attname, attnum from pg_attribute
    where attrelid = c.oid and attnum > 0 and not attisdropped
    union all select null, 0) a on true
where n.nspname = $1 and c.relkind = 'r'
"""

Held = Mapping[tuple[str, str | None], str | None]
"""The comment of a table (None), or of one of its columns."""


def follow_comments(
    within: Transaction, schema: str, tables: Mapping[str, TableDefinition]
) -> None:
    """Gives these tables of the schema, and their columns, production's comments. Repeatable."""
    held: Held = {(row[0], row[1]): row[2] for row in within.rows(_HELD, schema)}
    for staging_name, definition in tables.items():
        target = TableName(schema, staging_name)
        columns = [column for of, column in held if of == staging_name and column is not None]
        for column, wanted in _wanted(definition, columns).items():
            if (staging_name, column) in held and held[staging_name, column] != wanted:
                within.execute(_comment(target, column, wanted))


def _wanted(definition: TableDefinition, columns: Collection[str]) -> dict[str | None, str | None]:
    ours = about(definition.table)
    said = {column.name: column.comment for column in definition.columns}
    return {
        None: f"{ours} {definition.comment}" if definition.comment else ours,
        **{c: said.get(c) or None for c in columns if c not in MEANINGS},
    }


def _comment(target: TableName, column: str | None, text: str | None) -> Sql:
    said = compose("null") if text is None else literal(text)
    if column is None:
        return compose("comment on table {table} is {text}", table=table(target), text=said)
    return compose(
        "comment on column {table}.{column} is {text}",
        table=table(target),
        column=name(column),
        text=said,
    )
