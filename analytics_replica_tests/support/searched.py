"""Whether a planted value is anywhere in files, databases or output.

Here: the plain search that tests of one leak need. Not here: every form that a value may take, and
every place (demo.leaks).
"""

from __future__ import annotations

import io
from pathlib import Path

import psycopg2

from analytics_replica.demo.dump import tables_in
from analytics_replica.postgres.identifiers import table
from analytics_replica_tests.support.servers import Database


def files_with(value: str, *places: Path) -> list[str]:
    """The files at or below these places that hold the value, as text, UTF-16 or hex."""
    forms = (value.encode(), value.encode("utf-16-le"), value.encode().hex().encode())
    files = [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
    return sorted(str(file) for file in files if any(form in file.read_bytes() for form in forms))


def rows_with(value: str, database: Database) -> list[str]:
    """The tables of the database, its catalog too, that have a row with the value."""
    forms = (value.encode(), value.encode().hex().encode())
    opened = psycopg2.connect(database.dsn())
    found = []
    with opened, opened.cursor() as cursor:
        for one in tables_in(opened):
            rows = io.BytesIO()
            cursor.copy_expert(f"copy (select * from only {table(one)}) to stdout", rows)
            if any(form in rows.getvalue() for form in forms):
                found.append(str(one))
    opened.close()
    return sorted(found)
