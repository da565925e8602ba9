"""Texts to search for, in a temporary table of the searched database: no statement has them.

Here: loading them by COPY, as each type prints them, and the conditions that read them from there.
Not here: which columns are asked (warehouse.py). A statement that fails is written to the server's
log; what COPY brought is not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import Sql, compose, join, name, number, type_name

_CREATE: Final = """
create temporary table if not exists analytics_replica_wanted (
    number integer, given text, type text, printed text
)
"""

_EMPTY: Final = "truncate pg_temp.analytics_replica_wanted"

_LOAD: Final = """
copy pg_temp.analytics_replica_wanted (number, given, type) from stdin with (format csv)
"""

_PRINT: Final = """
-- each text as its type prints it; NULL stays where it is none: caught here, no error is logged
do $$
declare
    wanted record;
    as_printed text;
begin
    for wanted in select number, given, type from pg_temp.analytics_replica_wanted loop
        begin
            execute 'select concat($1::' || wanted.type || ')' into as_printed using wanted.given;
            update pg_temp.analytics_replica_wanted w set printed = as_printed
            where w.number = wanted.number;
        exception when others then null;
        end;
    end loop;
end
$$
"""

_PRINTED: Final = "select printed from pg_temp.analytics_replica_wanted order by number"

_TYPED: Final = """
{column} = any(array(
    select w.printed::{type} from pg_temp.analytics_replica_wanted w
    where w.number in ({numbers}) and w.printed is not null
))
"""

_TEXT: Final = """
{column}::text = any(array(
    select w.given from pg_temp.analytics_replica_wanted w where w.number in ({numbers})
))
"""

_INSIDE: Final = """
exists (
    select from unnest(array(
        select w.given from pg_temp.analytics_replica_wanted w where w.number in ({numbers})
    )) as trace
    where strpos({column}::text, trace) > 0
)
"""

COMPARED: Final = frozenset(
    {"boolean", "smallint", "integer", "bigint", "oid", "numeric", "real", "double precision"}
    | {"bytea", "date", "time", "timestamp", "interval", "uuid", "inet", "cidr", "macaddr"}
    | {"character", "character varying", "text", "name", "bit", "bit varying"}
)
"""Types whose values are compared as such, by how their names begin; others by their texts."""


@dataclass
class Wanted:
    """The texts that a search's conditions name by number; `load` sends them before it runs."""

    _numbers: dict[tuple[str, str], int] = field(default_factory=dict, repr=False)

    def equal(self, column: str, kind: str, texts: Iterable[str]) -> Sql:
        """True where the column is one of these texts' values; a text that is none fits no row."""
        plain = kind.partition(" collate ")[0]
        typed = _base(plain) in COMPARED
        numbers = self._named(texts, plain if typed else "text")
        if typed:
            return compose(_TYPED, column=name(column), type=type_name(plain), numbers=numbers)
        return compose(_TEXT, column=name(column), numbers=numbers)

    def inside(self, column: str, texts: Iterable[str]) -> Sql:
        """True where one of these texts stands in the column."""
        return compose(_INSIDE, column=name(column), numbers=self._named(texts, "text"))

    def load(self, conn: Connection) -> None:
        """Sends what the conditions name; it is there until the session ends."""
        _load(conn, list(self._numbers))

    def _named(self, texts: Iterable[str], kind: str) -> Sql:
        numbers = (self._numbers.setdefault((t, kind), len(self._numbers)) for t in texts)
        return join(", ", map(number, numbers))


def printed(conn: Connection, given: Sequence[tuple[str, str]]) -> list[str | None]:
    """Each text (with its type) as PostgreSQL prints the value; None if it is none of the type."""
    _load(conn, given)
    with conn.cursor() as cursor:
        cursor.execute(_PRINTED)
        return [row[0] for row in cursor.fetchall()]


def _load(conn: Connection, rows: Sequence[tuple[str, str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(
        (position, text, type_name(kind)) for position, (text, kind) in enumerate(rows)
    )
    written.seek(0)
    with conn.cursor() as cursor:
        cursor.execute(_CREATE)
        cursor.execute(_EMPTY)
        cursor.copy_expert(_LOAD, written)
        cursor.execute(_PRINT)
    # So that it stays when a table cannot be read and the transaction is rolled back.
    conn.commit()


def _base(kind: str) -> str:
    """`timestamp(3) with time zone` is a timestamp; an array is only itself."""
    if kind.endswith("]"):
        return kind
    words = kind.partition("(")[0]
    return words.partition(" with")[0] if words.startswith("time") else words
