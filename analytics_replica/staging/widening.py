"""Which changes of a column's type lose nothing.

Here: the rules, over PostgreSQL's own spelling of types; pure. Not here: changing the table
(ddl.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import ColumnNarrowed

_SPELLING: Final = re.compile(
    r"(?P<base>[^(\[]+?)(?:\((?P<modifier>[\d,-]+)\))?(?P<zone> with(?:out)? time zone)?"
    r"(?P<array>(?:\[\])*)"
)

_LADDERS: Final = (("smallint", "integer", "bigint"), ("real", "double precision"))
"""Each type holds every value of those before it."""

_LENGTHS: Final = frozenset({"character varying", "bit varying", "timestamp", "time"})
"""A greater modifier holds more, and none holds all."""


@dataclass(frozen=True, slots=True)
class _Type:
    base: str
    zone: str
    modifier: tuple[int, ...]
    array: str

    @classmethod
    def parse(cls, spelling: str) -> _Type:
        found = _SPELLING.fullmatch(spelling)
        if found is None:
            return cls(spelling, "", (), "")
        numbers = found["modifier"]
        modifier = tuple(int(n) for n in numbers.split(",")) if numbers else ()
        return cls(found["base"], found["zone"] or "", modifier, found["array"])


def widens(old: str, new: str) -> bool:
    """True if `new` holds every value of `old`, and PostgreSQL shows it as production does."""
    if old == new:
        return True
    before, after = _Type.parse(old), _Type.parse(new)
    if before.array or after.array or before.zone != after.zone:
        return False
    if before.base == "character varying" and new == "text":
        return True
    if before.base != after.base:
        return any(
            before.base in ladder and after.base in ladder[ladder.index(before.base) :]
            for ladder in _LADDERS
        )
    if before.base == "numeric":
        return not after.modifier or _numeric_widens(before.modifier, after.modifier)
    if before.base in _LENGTHS:
        return not after.modifier or (bool(before.modifier) and after.modifier > before.modifier)
    return False


def require_widening(table: TableName, column: str, old: str, new: str) -> None:
    """ColumnNarrowed, naming both types, unless the change loses nothing."""
    if not widens(old, new):
        raise ColumnNarrowed(
            what=f"{table}.{column}: the type changed from {old} to {new}.",
            why="Production rewrote its rows without logging them, so staging's could be wrong; it "
            "keeps its last good state.",
            next=f"Copy it again with `analytics-replica resync {table}`.",
        )


def _numeric_widens(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    if not old:
        return False
    (old_precision, old_scale), (new_precision, new_scale) = old, new
    return new_scale >= old_scale and new_precision - new_scale >= old_precision - old_scale
