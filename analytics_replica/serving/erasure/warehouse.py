"""Searching a PostgreSQL database: staging, the editions of gold, Dagster's storage.

Here: one scan of each table, counting for each column the rows that have a trace. Not here: files
(files.py), how the texts get to the server (wanted.py). What the masks made of values is sent, and
a raw value only where the policy keeps it, or once did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import psycopg2

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import Sql, compose, join, table
from analytics_replica.serving.erasure.search import Hit, Searched
from analytics_replica.serving.erasure.traces import Person
from analytics_replica.serving.erasure.wanted import Wanted
from analytics_replica.serving.relations import Relation, stored_in

_COUNT: Final = "select count(*) {counts} from {table}"

_ONE: Final = ", count(*) filter (where {condition})"

_NO_TEXT: Final = ("bool", "date", "time", "real", "double", "interval", "pg_lsn")
"""Types in which no token can stand, by how their names begin."""

Asked = list[tuple[str, str, Sql]]
"""Column, what it is, and the condition under which a row has it."""


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
    found, wanted = stored_in(conn, schema), Wanted()
    asked = {n: _asked(r, person, wanted, own=n == own) for n, r in found.items()}
    unreadable: list[str] = []
    if own in found and person.misses_key(found[own].types):
        unreadable.append(f"{schema}.{own} (it lacks a column of the key)")
    rows, hits = 0, []
    try:
        wanted.load(conn)
    except psycopg2.Error as cause:
        conn.rollback()
        unreadable.append(f"a temporary table for the search (SQLSTATE {cause.pgcode})")
        asked = {}
    for relation, columns in asked.items():
        where = TableName(schema, relation)
        counts = _counts(conn, where, [condition for _, _, condition in columns])
        if isinstance(counts, str):
            unreadable.append(f"{where} (SQLSTATE {counts})")
            continue
        rows += counts[0]
        hits += [
            Hit(f"{where}.{column}", what, count, gone(relation))
            for (column, what, _), count in zip(columns, counts[1:], strict=True)
            if count
        ]
    conn.rollback()
    why = person.why_not_searched(by_row=own is not None, by_name=True)
    return Searched(store, len(found), 0, rows, tuple(hits), tuple(unreadable), why)


def _counts(conn: Connection, where: TableName, conditions: Sequence[Sql]) -> tuple[int, ...] | str:
    """The rows and for each condition how many have it; the SQLSTATE if it cannot be read."""
    counts = join("", (compose(_ONE, condition=condition) for condition in conditions))
    statement = compose(_COUNT, counts=counts, table=table(where))
    try:
        with conn.cursor() as cursor:
            cursor.execute(statement.text)
            (row,) = cursor.fetchall()
    except psycopg2.Error as cause:
        conn.rollback()
        return str(cause.pgcode)
    return tuple(int(count) for count in row)


def _asked(relation: Relation, person: Person, wanted: Wanted, *, own: bool) -> Asked:
    asked: Asked = []
    types = relation.types
    wide = [trace.text for trace in person.wide]
    for column, kind in types.items():
        if wide and not kind.startswith(_NO_TEXT):
            asked.append((column, "a token", wanted.inside(column, wide)))
        if narrow := person.narrow_in(column):
            equal = wanted.equal(column, kind, narrow)
            asked.append((column, "the key or a kept value", equal))
    if own and person.has_key(types):
        parts = [wanted.equal(c, types[c], texts) for c, texts in person.key.items()]
        asked.append((", ".join(person.key), "the row itself", join(" and ", parts)))
    return asked
