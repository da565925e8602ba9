"""The seal: the one function between decoding and the first write.

Here: applying a table's treatments to columns of texts, the same for the first copy and the
stream, for new images, old images and keys. Not here: the rules (policy.py, strategies.py).
Whatever goes wrong with a value is reported by column; the value goes no further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.tables import Column, Table
from analytics_replica.errors import StreamInvalid
from analytics_replica.masking.policy import Policy, unnameable
from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.postgres.types import arrow_type, from_text
from analytics_replica.settings.secrets import MaskingKeys


@dataclass(frozen=True)
class SealedColumn:
    """A column after the seal: what may be written. `exact` holds texts that `values` cannot."""

    values: pa.Array
    exact: pa.Array | None


@dataclass(frozen=True)
class TableSeal:
    """The treatments of one table in one shape, ready to be applied to its texts.

    `source_index[i]` is the position in the source's columns of `columns[i]`; dropped columns have
    no entry. `flaw` says what had to be sealed because the policy cannot work on this shape.
    """

    columns: tuple[LandedColumn, ...]
    source_index: tuple[int, ...]
    treatments: tuple[Treatment, ...]
    keys: MaskingKeys
    oid: int = 0
    flaw: str = ""

    @classmethod
    def of(cls, table: Table, policy: Policy, keys: MaskingKeys) -> TableSeal:
        """The seal for a table as production has it now; PolicyViolation if a rule cannot work."""
        policy.check(table)
        return cls._made(table, policy, keys, {})

    @classmethod
    def of_stream(cls, table: Table, policy: Policy, keys: MaskingKeys) -> TableSeal:
        """The seal for a table whose shape the log tells, whatever that shape is.

        A column whose rule cannot work is sealed, its treatment says why, and so does `flaw`. One
        that no landed file can name, or that must not leave production, is left out.
        """
        return cls._made(table, policy, keys, {f.column: f.reason for f in policy.faults(table)})

    @classmethod
    def _made(
        cls, table: Table, policy: Policy, keys: MaskingKeys, broken: Mapping[str, str]
    ) -> TableSeal:
        landed: list[LandedColumn] = []
        index: list[int] = []
        treatments: list[Treatment] = []
        for position, column in enumerate(table.columns):
            done = policy.treatment(table.name, column.name)
            if done.kind is Kind.DROP or unnameable(column, (c.column.name for c in landed)):
                continue
            if column.name in broken:
                done = Treatment(Kind.SEALED, reason=broken[column.name])
            landed.append(LandedColumn(column, done.describe(), done.staging_type(column)))
            index.append(position)
            treatments.append(done)
        flaw = "; ".join(f"{name} ({reason})" for name, reason in broken.items())
        return cls(tuple(landed), tuple(index), tuple(treatments), keys, table.oid, flaw)

    def same_file(self, other: TableSeal) -> bool:
        """True if events under both seals may stand in one landed file."""
        mine, theirs = (self.oid, self.flaw), (other.oid, other.flaw)
        return mine == theirs and self.columns == other.columns

    def apply(self, texts: Sequence[pa.Array]) -> list[SealedColumn]:
        """The sealed columns of these texts (one array per source column, in source order).

        Equal texts give equal results, on every path. NULL stays NULL.
        """
        return [
            _seal(landed.column, done, texts[position], self.keys)
            for landed, position, done in zip(
                self.columns, self.source_index, self.treatments, strict=True
            )
        ]


_ARROW: Final = {"integer": pa.int32(), "bigint": pa.int64()}
"""What a masked value of a type in staging is landed as; all others as text."""


def arrow_type_of(column: Column, done: Treatment) -> pa.DataType:
    """The Arrow type of the column's sealed values."""
    if done.mask is None or done.mask.mask == "null":
        return arrow_type(column).arrow
    return _ARROW.get(done.staging_type(column), pa.string())


def _seal(column: Column, done: Treatment, texts: pa.Array, keys: MaskingKeys) -> SealedColumn:
    if done.kind is Kind.KEEP:
        values, exact = from_text(column, texts)
        return SealedColumn(values, exact)
    target = arrow_type_of(column, done)
    if done.kind is Kind.SEALED or done.mask is None or done.mask.mask == "null":
        return SealedColumn(pa.nulls(len(texts), target), None)
    try:
        key = keys.by_id[done.key_id] if done.key_id is not None else keys.active_key
        return SealedColumn(mask_column(texts, done.mask, key), None)
    except Exception:  # noqa: BLE001 - whatever it is, its text may quote the value
        raise StreamInvalid(
            what=f"Mask {done.mask.mask} failed on column {column.name}.",
            why="Its batch was not landed, and the value is not repeated here.",
            next="Use a mask that fits every value of the column (token, constant or null).",
        ) from None
