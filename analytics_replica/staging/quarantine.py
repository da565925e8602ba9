"""Why one table stands still while the others go on.

Here: the refusal of a single table. Not here: remembering it (ledger.py), showing it (drift.py).
"""

from __future__ import annotations

from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import ColumnNarrowed, WarehouseError


class TableQuarantined(WarehouseError):
    """One table cannot be brought forward exactly; it keeps its last good state."""


REFUSALS: Final = (ColumnNarrowed, TableQuarantined)
"""What stops one table and not the apply."""


def copy_again(table: TableName) -> str:
    """What repairs a table that cannot follow."""
    return f"Copy it again with `analytics-replica resync {table}`."


def quarantined(table: TableName, reason: str, then: str | None = None) -> TableQuarantined:
    """The refusal of this table, for this reason (which names columns and counts, no values)."""
    return TableQuarantined(
        what=f"{table}: {reason}.",
        why="Going on would make staging differ from production, so it keeps its last good state.",
        next=then or copy_again(table),
    )
