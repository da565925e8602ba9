"""Row messages of one relation that are not decoded yet.

Here: collecting slices of what was read, and joining them when they are decoded. Not here: which
transaction they belong to (transactions.py), decoding (columnar.py).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from analytics_replica.domain.tables import Table
from analytics_replica.source.columnar import Bytes, Flags, Ints, Messages, joined_slices


@dataclass
class Pending:
    """Row messages of one relation in one shape, in order, until they are taken.

    `header` is where the tag of the first tuple stands. Each message has a mark and an ordinal: the
    mark is the commit LSN, or of a transaction that is still open its (sub-)transaction's id.
    `truncates` has (mark, ordinal) of each TRUNCATE.
    """

    table: Table
    header: int
    truncates: list[tuple[int, int]] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    _pieces: list[Messages] = field(default_factory=list)
    _marks: list[Ints] = field(default_factory=list)
    _ordinals: list[Ints] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """True if nothing was collected."""
        return not self.rows and not self.truncates

    @property
    def marks(self) -> Ints:
        """The mark of each message."""
        return _joined(self._marks)

    @property
    def ordinals(self) -> Ints:
        """The ordinal of each message."""
        return _joined(self._ordinals)

    @property
    def messages(self) -> Messages:
        """All messages in one buffer."""
        pieces = self._pieces
        if len(pieces) == 1:
            return pieces[0]
        if not pieces:
            return Messages(np.zeros(0, np.uint8), *_nothing(), self.header)
        shifts = np.cumsum([0, *(len(piece.data) for piece in pieces[:-1])])
        return Messages(
            np.concatenate([piece.data for piece in pieces]),
            np.concatenate([p.starts + s for p, s in zip(pieces, shifts, strict=True)]),
            np.concatenate([piece.sizes for piece in pieces]),
            self.header,
        )

    def add(self, data: Bytes, starts: Ints, sizes: Ints, marks: Ints, ordinals: Ints) -> None:
        """Collects these messages of `data`, which is kept alive only if it is mostly theirs."""
        size = int(sizes.sum())
        if 2 * size < len(data):
            data, starts = joined_slices(data, starts, sizes), np.cumsum(sizes) - sizes
        self._pieces.append(Messages(data, starts, sizes, self.header))
        self._marks.append(marks)
        self._ordinals.append(ordinals)
        self.rows += len(starts)
        self.bytes += size

    def clear(self) -> None:
        """Forgets what was taken."""
        self._pieces, self._marks, self._ordinals, self.truncates = [], [], [], []
        self.rows = self.bytes = 0

    def commit(self, lsn: int, without: Collection[int]) -> None:
        """Marks everything with the commit's LSN and forgets what these ids did."""
        self.truncates = [(lsn, at) for mark, at in self.truncates if mark not in without]
        messages, marks, ordinals = self.messages, self.marks, self.ordinals
        kept: Flags = ~np.isin(marks, np.fromiter(without, np.int64, len(without)))
        self._pieces, self._marks, self._ordinals = [], [], []
        self.rows = self.bytes = 0
        if kept.any():
            marked = np.full(int(kept.sum()), lsn, np.int64)
            starts, sizes = messages.starts[kept], messages.sizes[kept]
            self.add(messages.data, starts, sizes, marked, ordinals[kept])


def _joined(arrays: list[Ints]) -> Ints:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)


def _nothing() -> tuple[Ints, Ints]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)
