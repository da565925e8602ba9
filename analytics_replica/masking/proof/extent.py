"""Extent: how much of a table one look reads, and what it can see.

Here: the table as the catalog has it, all of it or a sample of its blocks. Not here: what is
looked for. A sample is of whole blocks, which is what makes it fast; another seed gives others, so
nights see different blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.masking.proof.chance import nights_until_seen, unseen_share
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import Sql

FULL_BYTES: Final = 16 * 2**30
"""A larger table is sampled: as much of it is read."""

_HELD: Final = """
-- a relation's columns in order with their types, its kind and its size with TOAST
select a.attname, format_type(a.atttypid, a.atttypmod), c.relkind::text, pg_table_size(c.oid)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = %s and c.relname = %s
order by a.attnum
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """A relation, and how much of it is read: `share` of its blocks, 1 for all."""

    held: TableName
    types: Mapping[str, str]
    """Column → type, in column order."""
    share: float = 1.0
    seed: int = 0

    @property
    def source(self) -> Sql:
        """The relation as FROM names it; the same rows at each use while nothing is written."""
        if self.share >= 1:
            return sql.table(self.held)
        return sql.compose(
            "{table} tablesample system ({percent}) repeatable ({seed})",
            table=sql.table(self.held),
            percent=sql.literal(f"{100 * self.share:.6f}"),
            seed=sql.number(self.seed),
        )

    def figures(self, rows: int) -> dict[str, int | float | str]:
        """What was read, and the smallest leak that this can see."""
        if self.share >= 1:
            return {"rows_scanned": rows, "scanned": "every row", "smallest_leak": "1 value"}
        return {
            "rows_scanned": rows,
            "scanned": f"a sample: {rows:,} of about {round(rows / self.share):,} rows, in "
            f"{self.share:.2%} of the blocks, other ones each night",
            "smallest_leak": f"{unseen_share(rows):.5%} of the rows with 95 % confidence, if they "
            "do not lie together; what lies in one block is met with 95 % within "
            f"{nights_until_seen(self.share):,} nights",
        }


def extent_of(
    connection: Connection, held: TableName, *, seed: int, full_bytes: int = FULL_BYTES
) -> Extent | None:
    """What one look at this relation reads; None if it does not exist.

    Views are read in full: PostgreSQL samples tables only.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HELD, (held.schema, held.name))
        rows = cursor.fetchall()
    if not rows:
        return None
    kind, size = rows[0][2:]
    share = min(1.0, full_bytes / size) if kind in ("r", "m", "p") and size else 1.0
    return Extent(held, {name: type_name for name, type_name, *_ in rows}, share, seed)
