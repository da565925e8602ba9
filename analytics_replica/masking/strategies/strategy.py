"""What a mask is: its function, the types it fits, and what it promises.

Here: the declaration that every mask makes, and how a function is applied to each different value
once. Not here: the masks themselves (the files beside this one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from analytics_replica.domain.tables import Column
from analytics_replica.settings.rules import Mask

Apply = Callable[[pa.Array, Mask, bytes], pa.Array]
"""Texts, the resolved mask and its key → masked values, as many. NULL stays NULL.

A function is total: a value that it cannot mask becomes NULL, never an error and never itself.
"""

FIRST_USER_OID: Final = 16384
"""Types from here on somebody created (enums, domains, citext): their values are texts."""

TEXTS: Final = frozenset({25, 1043, 1042, 19})
DATES: Final = frozenset({1082, 1114, 1184})
NUMBERS: Final = frozenset({20, 21, 23, 700, 701, 1700})
NETWORKS: Final = frozenset({650, 869})
DOCUMENTS: Final = frozenset({114, 3802})

_ELEMENT: Final = {
    1009: 25,
    1015: 1043,
    1014: 1042,
    1003: 19,
    1182: 1082,
    1115: 1114,
    1185: 1184,
    1016: 20,
    1005: 21,
    1007: 23,
    1021: 700,
    1022: 701,
    1231: 1700,
    651: 650,
    1041: 869,
}
"""Type of an array → type of its elements. Others are arrays of texts or of what fits no mask."""


_BOXES: Final = 1020
"""box[]: the only built-in array with ; between elements, which an element may hold in others."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A mask: its function and what it promises.

    `staging` is the PostgreSQL type of the result, None for the column's own type. `types` are the
    OIDs it fits, None for all; `own_types` says that it fits types which somebody created.
    `keyed` masks use the key. `keeps_unique`: different values stay different. `keeps_joins`:
    equal values stay equal, and it is worth joining on them. `lossy`: whoever has the key, and
    tries all values, still cannot tell which one it was. All masks are deterministic: equal
    values and equal policies give equal results, today and at any replay.
    """

    apply: Apply
    staging: str | None
    types: frozenset[int] | None
    own_types: bool = False
    keyed: bool = False
    keeps_unique: bool = False
    keeps_joins: bool = False
    lossy: bool = True

    def fits(self, column: Column, *, elements: bool) -> bool:
        """Whether the mask can be applied to this column (to its elements, of an array)."""
        is_array = column.type_name.endswith("[]")
        if elements and (not is_array or column.type_oid == _BOXES):
            return False
        if self.types is None:
            return True
        if not is_array:
            own = self.own_types and column.type_oid >= FIRST_USER_OID
            return own or column.type_oid in self.types
        if not elements:
            return False
        own = self.own_types and column.type_oid >= FIRST_USER_OID
        return own or _ELEMENT.get(column.type_oid) in self.types


def on_distinct(texts: pa.Array, change: Callable[[list[str]], Iterable[str | None]]) -> pa.Array:
    """The texts with `change` applied to the list of different values, each once."""
    encoded = texts.dictionary_encode()
    changed = pa.array(list(change(encoded.dictionary.to_pylist())), pa.string())
    return changed.take(encoded.indices)


def on_each(texts: pa.Array, change: Callable[[str], str | None]) -> pa.Array:
    """The texts with `change` applied to each different value once; '' stays ''."""
    return on_distinct(
        texts, lambda values: [change(value) if value else value for value in values]
    )
