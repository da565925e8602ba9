"""Sums of a table that do not depend on the order of its rows.

Here: adding up batches of rows, in parts of the key's hash. Not here: the numbers of single cells
(cells.py), the same sums in the warehouse (held.py).

A row's *name* is the number of its key; without a key, of all of its columns. In a keyed table a
cell is hashed with the row's name as seed and joined by exclusive or. Rows of a table without a key
may be equal and would cancel out, so there numbers are added, and each column is hashed by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics_replica.staging.reconciliation import lookup3
from analytics_replica.staging.reconciliation.cells import HeldColumn
from analytics_replica.staging.reconciliation.lookup3 import Hashes, Ints

PARTS: Final = 4096
"""How many parts a table is divided into by its names: twelve halvings at once."""

MODULUS: Final = 2**64


@dataclass(frozen=True)
class Given:
    """Values of one column: `values` in a form that the column takes, or as texts, or both.

    A row that has a text in `texts` has NULL in `values`; PostgreSQL must read such texts.
    """

    values: pa.Array | None = None
    texts: pa.Array | None = None


@dataclass(frozen=True)
class Rows:
    """Some rows: their columns by name (an absent one is NULL), and how often each is there."""

    columns: Mapping[str, Given]
    count: int
    copies: Ints | None = None


class Reads(Protocol):
    """Reads texts as values of a column and gives their numbers, as PostgreSQL does."""

    def __call__(self, column: HeldColumn, texts: pa.Array, seeds: Hashes) -> Hashes:
        """The numbers of these texts (none is NULL) under these seeds."""


@dataclass(frozen=True)
class Plan:
    """What is summed of a table: the columns that name a row, and those that are compared."""

    naming: tuple[HeldColumn, ...]
    compared: tuple[HeldColumn, ...]
    keyed: bool


@dataclass
class Sums:
    """Row counts, and sums of names and cells, for each part.

    `cells[0]` are the names', `cells[i + 1]` those of the i-th compared column.
    """

    plan: Plan
    reads: Reads
    left_out: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Sorted names of rows that do not count."""
    counts: Ints = field(default_factory=lambda: np.zeros(PARTS, np.int64))
    cells: npt.NDArray[np.uint64] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = np.zeros((len(self.plan.compared) + 1, PARTS), np.uint64)

    def add(self, rows: Rows) -> None:
        """Counts these rows, too."""
        names = self.names(rows)
        if len(self.left_out):
            rows, names = without(rows, names, self.left_out)
        if not rows.count:
            return
        parts = (names & np.uint64(PARTS - 1)).astype(np.int64)
        copies = rows.copies
        self.counts += np.bincount(parts, copies, PARTS).astype(np.int64)
        copies = np.ones(rows.count, np.int64) if copies is None else copies
        for position, hashes in enumerate([names, *self.cells_of(rows, names)]):
            if self.plan.keyed:
                lookup3.joined(hashes, parts, self.cells[position])
            else:
                lookup3.added(hashes, copies, parts, self.cells[position])

    def names(self, rows: Rows) -> Hashes:
        """The names of these rows."""
        whole = np.zeros(rows.count, np.uint64)
        for position, column in enumerate(self.plan.naming):
            seeds = np.full(rows.count, position + 1, np.uint64)
            whole ^= self._hashes(column, rows, seeds)
        named = np.empty(rows.count, np.uint64)
        lookup3.ended(whole, named)
        return named

    def cells_of(self, rows: Rows, names: Hashes) -> list[Hashes]:
        """The numbers of the compared columns' cells."""
        if self.plan.keyed:
            return [self._hashes(column, rows, names) for column in self.plan.compared]
        return [
            self._hashes(column, rows, np.full(rows.count, position + 1, np.uint64))
            for position, column in enumerate(self.plan.compared)
        ]

    def totals(self) -> list[int]:
        """The number of rows, then the sum of the names and of each compared column."""
        if self.plan.keyed:
            whole = np.bitwise_xor.reduce(self.cells, axis=1)
        else:
            whole = np.add.reduce(self.cells, axis=1, dtype=np.uint64)
        return [int(self.counts.sum()), *map(int, whole)]

    def part(self, part: int) -> list[int]:
        """The same for one part."""
        return [int(self.counts[part]), *map(int, self.cells[:, part])]

    def _hashes(self, column: HeldColumn, rows: Rows, seeds: Hashes) -> Hashes:
        given = rows.columns.get(column.name)
        if given is None:
            return np.zeros(rows.count, np.uint64)
        hashes, texts = None, given.texts
        if given.values is not None:
            hashes = column.hashes(given.values, seeds)
            if hashes is None:
                texts = given.values
        if hashes is None:
            hashes = np.zeros(rows.count, np.uint64)
        if texts is not None and texts.null_count < len(texts):
            at = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
            hashes[at] = self.reads(column, texts.take(pa.array(at)), seeds[at])
        return hashes


def without(rows: Rows, names: Hashes, left_out: Hashes) -> tuple[Rows, Hashes]:
    """The rows whose names are not among these (sorted) ones."""
    places = np.searchsorted(left_out, names)
    places[places == len(left_out)] = 0
    return picked(rows, names, np.flatnonzero(left_out[places] != names))


def in_parts(rows: Rows, names: Hashes, parts: Sequence[int]) -> tuple[Rows, Hashes]:
    """The rows whose names are in these parts."""
    wanted = np.isin((names & np.uint64(PARTS - 1)).astype(np.int64), parts)
    return picked(rows, names, np.flatnonzero(wanted))


def picked(rows: Rows, names: Hashes, at: Ints) -> tuple[Rows, Hashes]:
    """The rows at these positions."""
    taken = pa.array(at)
    columns = {
        name: Given(
            None if given.values is None else given.values.take(taken),
            None if given.texts is None else given.texts.take(taken),
        )
        for name, given in rows.columns.items()
    }
    copies = None if rows.copies is None else rows.copies[at]
    return Rows(columns, len(at), copies), names[at]
