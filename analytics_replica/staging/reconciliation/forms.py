"""In which form a landed column is handed to its hash function.

Here: choosing, by what DuckDB reads and what staging's type is. Not here: the functions (cells.py),
reading rows (replayed.py).

Whatever is not known to be printed by staging just as it was landed is left to PostgreSQL (texts):
that is always right, and slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from analytics_replica.domain.tables import Column
from analytics_replica.postgres.types import from_text
from analytics_replica.staging.reconciliation.cells import HeldColumn, Kind
from analytics_replica.staging.reconciliation.sums import Given

KEEP: Final = "keep"
"""The treatment of a value that is landed as production prints it."""

_AS_READ: Final = {
    Kind.WORD: ("SMALLINT", "INTEGER"),
    Kind.LONG: ("SMALLINT", "INTEGER", "BIGINT"),
    Kind.BOOLEAN: ("BOOLEAN",),
    Kind.DOUBLE: ("FLOAT", "DOUBLE"),
    Kind.DECIMAL: ("DECIMAL",),
    Kind.DATE: ("DATE",),
    Kind.TIME: ("TIME",),
    Kind.TIMESTAMP: ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    Kind.UUID: ("VARCHAR",),
    Kind.TEXT: ("VARCHAR",),
    Kind.PADDED: ("VARCHAR",),
}

_PRINTED: Final = {
    ("bytea", "BLOB"): "'\\x' || lower(hex({value}))",
    ("oid", "BIGINT"): "cast({value} as varchar)",
    ("numeric", "DECIMAL"): "cast({value} as varchar)",
}
"""How DuckDB prints what it does not read as text, exactly as PostgreSQL does."""

_AS_TEXT: Final = "cast({value} as varchar)"


@dataclass(frozen=True)
class Form:
    """How a column is read: the template of the DuckDB expression, and what its values are.

    `read` says that PostgreSQL must read all of them; `exact` is the column of production where
    texts that Arrow cannot hold are among them.
    """

    sql: str
    read: bool = False
    exact: Column | None = None

    def given(self, values: pa.Array) -> Given:
        """The values as they are summed."""
        if self.read:
            return Given(texts=values)
        if self.exact is not None:
            held, unheld = from_text(self.exact, values.cast(pa.string()))
            return Given(held, unheld)
        return Given(values)


def form_of(
    held: HeldColumn, landed_as: str, treatment: str, *, exact: Column | None, changed: bool
) -> Form:
    """The form of a column that DuckDB reads as this type.

    `exact` is given if some of its values are landed as texts beside the column; `changed` says
    that its type in staging was another one for a time.
    """
    landed = landed_as.split("(", maxsplit=1)[0]
    kept = treatment == KEEP and not changed
    if exact is not None:
        native = held.kind not in {Kind.TEXT, Kind.PADDED, Kind.UUID, Kind.PRINTED}
        return Form(_AS_TEXT, exact=exact) if native and kept else Form(_AS_TEXT, read=True)
    if landed in _AS_READ.get(held.kind, ()):
        return Form("{value}")
    if held.kind is Kind.PRINTED and kept:
        if landed == "VARCHAR":
            return Form("{value}")
        if (held.base, landed) in _PRINTED:
            return Form(_PRINTED[held.base, landed])
    return Form(_AS_TEXT, read=True)
