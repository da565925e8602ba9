"""Every row of a server: its databases, their tables, and their rows as text.

Here: listing them, and COPY in pieces. Not here: what the bytes are searched for (demo.planted).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Final

from analytics_replica.demo.disk import PIECE_BYTES
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection, connect
from analytics_replica.postgres.identifiers import compose, table

_DATABASES: Final = "select datname from pg_database where datallowconn order by datname"
_TABLES: Final = """
-- everything that stores rows; long values (pg_toast) come with the rows that they belong to
select n.nspname, c.relname
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname <> 'pg_toast'
order by n.nspname, c.relname
"""
_ALL_ROWS: Final = "copy (select * from only {table}) to stdout"


class Rows:
    """Takes rows one by one, as the driver gives them, and hands them on in pieces."""

    def __init__(self, into: Callable[[bytes], None]) -> None:
        self._into = into
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.count = 0

    def write(self, row: bytes) -> None:
        """One row in COPY's text format, with its end of line."""
        self.count += 1
        self._held.append(row)
        self._held_bytes += len(row)
        if self._held_bytes >= PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hands on what is held."""
        self._into(b"".join(self._held))
        self._held.clear()
        self._held_bytes = 0


def databases_behind(dsn: str) -> list[str]:
    """All databases of the server that may be entered, templates too."""
    with closing(connect(dsn)) as opened, opened.cursor() as cursor:
        cursor.execute(_DATABASES)
        return [database for (database,) in cursor.fetchall()]


def tables_in(opened: Connection) -> list[TableName]:
    """All tables and materialised views of the database, those of the system too."""
    with opened.cursor() as cursor:
        cursor.execute(_TABLES)
        return [TableName(schema, name) for schema, name in cursor.fetchall()]


def copy_rows(opened: Connection, of: TableName, into: Rows) -> None:
    """All rows of the table as text; bytes appear as hex."""
    with opened.cursor() as cursor:
        cursor.copy_expert(str(compose(_ALL_ROWS, table=table(of))), into)
    into.flush()
