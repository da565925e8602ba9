"""A physical copy's side: production's rows at the position where it stands, through the masks.

Here: reading one table of the copy, sealed, in the form that is summed; nothing is written. Not
here: opening a copy (landing.first_copy), what is told of it (against_copy.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.tables import Table
from analytics_replica.landing.initial_copy import CHUNK_BYTES, parse_csv
from analytics_replica.masking.seal import SealedColumn, TableSeal
from analytics_replica.source.physical_copy import PhysicalCopy, read_rows, standing_still
from analytics_replica.source.pieces import Piece
from analytics_replica.staging.reconciliation.cells import HeldColumn, Kind
from analytics_replica.staging.reconciliation.forms import KEEP
from analytics_replica.staging.reconciliation.sums import Given, Rows

_AS_PRINTED = frozenset({Kind.TEXT, Kind.PADDED, Kind.PRINTED, Kind.UUID})


@dataclass(frozen=True)
class CopiedTable:
    """One table of a physical copy; `held` are staging's columns."""

    copy: PhysicalCopy
    table: Table
    seal: TableSeal
    pieces: Sequence[Piece]
    held: tuple[HeldColumn, ...]

    def rows(self, take: Callable[[Rows], None]) -> None:
        """Hands over the table's rows, masked; the same ones each time.

        CopyFailed if the copy went on since it was opened.
        """
        chunk = _Chunk(self, take)
        for piece in self.pieces:
            with standing_still(self.copy) as opened:
                read_rows(opened, piece, self.table.columns, chunk.line)
            chunk.flush()

    def given(self, lines: bytes) -> Rows:
        """These lines of CSV as rows."""
        texts = parse_csv(lines, len(self.table.columns), self.table.name)
        held = {column.name: column for column in self.held}
        columns = {
            landed.column.name: _given(held[landed.column.name], landed, sealed, texts[position])
            for landed, sealed, position in zip(
                self.seal.columns, self.seal.apply(texts), self.seal.source_index, strict=True
            )
            if landed.column.name in held
        }
        return Rows(columns, len(texts[0]))


@dataclass
class _Chunk:
    of: CopiedTable
    take: Callable[[Rows], None]
    lines: list[bytes] = field(default_factory=list)
    size: int = 0

    def line(self, line: bytes) -> None:
        self.lines.append(line)
        self.size += len(line)
        if self.size >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        lines, self.lines, self.size = self.lines, [], 0
        if lines:
            self.take(self.of.given(b"".join(lines)))


def _given(held: HeldColumn, landed: LandedColumn, sealed: SealedColumn, texts: pa.Array) -> Given:
    kept = landed.treatment == KEEP
    if kept and held.type != landed.staging_type:
        return Given(texts=texts)
    if kept and held.kind in _AS_PRINTED:
        return Given(texts)
    if held.takes(sealed.values.type) and (kept or held.kind is not Kind.PRINTED):
        return Given(sealed.values, sealed.exact)
    return Given(texts=texts if kept else sealed.values.cast(pa.string()))
