"""Texts that PostgreSQL must read before they can be compared.

Here: the numbers of values that Arrow cannot hold, or that were landed in another form than
staging's type prints. Not here: all other values (cells.py).

The expression is the one that staging's side uses, so it needs no second implementation; it costs
a round trip for each batch of rows that has such a value.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import psycopg2
import pyarrow as pa

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection, connect, refused
from analytics_replica.postgres.identifiers import compose
from analytics_replica.staging.reconciliation.cells import HeldColumn
from analytics_replica.staging.reconciliation.held import APPLICATION
from analytics_replica.staging.reconciliation.lookup3 import Hashes

_READ: Final = """
-- the numbers of texts, read as values of a column
select {hashed}
from unnest(%s::text[], %s::bigint[]) with ordinality t(v, seed, n)
order by n
"""


@dataclass(frozen=True)
class Reader:
    """Reads texts as values of a column and gives their numbers."""

    connection: Connection

    def __call__(self, column: HeldColumn, texts: pa.Array, seeds: Hashes) -> Hashes:
        """The numbers of these texts (none is NULL) under these seeds."""
        named = replace(column, own_type=_doubled(column.own_type), output=_doubled(column.output))
        value = compose("(t.v::{type})", type=named.spelled)
        query = compose(_READ, hashed=named.hashed(value, compose("t.seed")))
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(query.text, (texts.to_pylist(), seeds.view(np.int64).tolist()))
            except psycopg2.Error as cause:
                raise refused(cause, f"reading values of {column.name}") from None
            return np.array([row[0] for row in cursor.fetchall()], np.int64).view(np.uint64)


@contextlib.contextmanager
def reader(dsn: str) -> Iterator[Reader]:
    """A reader on a connection of its own: the other one is busy with its pass."""
    opened = connect(dsn, application=APPLICATION, options="-c search_path=pg_catalog")
    try:
        opened.set_session(readonly=True, autocommit=True)
        yield Reader(opened)
    finally:
        opened.close()


def _doubled(written: TableName) -> TableName:
    """psycopg2 takes a % in a statement with parameters for one of its own."""
    return TableName(written.schema.replace("%", "%%"), written.name.replace("%", "%%"))
