"""Searching a PostgreSQL database: staging, the editions of gold, Dagster's storage.

Here: one scan of each table, counting for each column the rows that have a trace. Not here: files
(files.py). Only what the masks made of values is sent to the server, never a raw value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg2

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import Sql, compose, join, literal, name, table
from analytics_replica.serving.erasure.search import Hit, Searched
from analytics_replica.serving.erasure.traces import Person
from analytics_replica.serving.relations import Relation, tables_of

_COUNT: Final = "select count(*) {counts} from {table}"

_ONE: Final = ", count(*) filter (where {condition})"

_INSIDE: Final = """
exists (select from unnest(array[{texts}]::text[]) as trace where strpos({column}::text, trace) > 0)
"""

_EQUAL: Final = "{column}::text = any(array[{texts}]::text[])"

_NO_TEXT: Final = ("bool", "date", "time", "real", "double", "interval", "pg_lsn")
"""Types in which no token can stand, by how their names begin."""


def search_schema(
    conn: Connection,
    store: str,
    schema: str,
    person: Person,
    gone: Callable[[str], str],
    *,
    own: str | None = None,
) -> Searched:
    """Searches every table of the schema; `own` is the person's own table in it.

    `gone` says of a table when what is found there goes. A table that cannot be read is named.
    """
    hits: list[Hit] = []
    unreadable: list[str] = []
    rows = 0
    found = tables_of(conn, schema)
    for relation in found.values():
        asked = _conditions(relation, person, own=relation.name == own)
        where = TableName(schema, relation.name)
        try:
            counts = _counts(conn, where, [condition for _, _, condition in asked])
        except psycopg2.Error as cause:
            conn.rollback()
            unreadable.append(f"{where} (SQLSTATE {cause.pgcode})")
            continue
        rows += counts[0]
        hits += [
            Hit(f"{where}.{column}", what, count, gone(relation.name))
            for (column, what, _), count in zip(asked, counts[1:], strict=True)
            if count
        ]
    conn.rollback()
    return Searched(
        store, tables=len(found), rows=rows, hits=tuple(hits), unreadable=tuple(unreadable)
    )


def _counts(conn: Connection, where: TableName, conditions: Sequence[Sql]) -> tuple[int, ...]:
    counts = join("", (compose(_ONE, condition=condition) for condition in conditions))
    statement = compose(_COUNT, counts=counts, table=table(where))
    with conn.cursor() as cursor:
        cursor.execute(statement.text)
        (row,) = cursor.fetchall()
    return tuple(int(count) for count in row)


def _conditions(relation: Relation, person: Person, *, own: bool) -> list[tuple[str, str, Sql]]:
    """Column, what it is, and the condition under which a row has it."""
    asked: list[tuple[str, str, Sql]] = []
    types = relation.types
    for column, kind in types.items():
        wide = [trace.text for trace in person.wide]
        if wide and not kind.startswith(_NO_TEXT):
            asked.append((column, "a token", _condition(_INSIDE, column, wide)))
        narrow = [t.text for t in person.traces if not t.wide and column in t.columns]
        if narrow:
            asked.append((column, "the key or a kept value", _condition(_EQUAL, column, narrow)))
    for key in person.keys if own else ():
        if key and key.keys() <= types.keys():
            parts = [_condition(_EQUAL, column, [text]) for column, text in key.items()]
            asked.append((", ".join(key), "the row itself", join(" and ", parts)))
    return asked


def _condition(template: str, column: str, texts: Sequence[Any]) -> Sql:
    return compose(template, column=name(column), texts=join(", ", map(literal, texts)))
