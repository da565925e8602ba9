"""Two sides of one table: whether their sums are equal, and if not, which rows differ.

Here: the passes over both sides. Not here: where the rows of the other side come from (replayed.py,
copied.py), what is made of a difference (judgement.py).

First pass: sums of the whole table in the warehouse, while the other side is summed in parts. Only
if they differ: the warehouse's sums of the same parts, and then the rows of parts that differ.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from analytics_replica.domain.progress import Progress
from analytics_replica.staging.reconciliation.held import Held
from analytics_replica.staging.reconciliation.lookup3 import Hashes
from analytics_replica.staging.reconciliation.sums import (
    PARTS,
    Plan,
    Reads,
    Rows,
    Sums,
    in_parts,
    without,
)

SHOWN_ROWS: Final = 20
"""Rows that are named."""

LOOKED_AT_ROWS: Final = 100_000
"""About so many rows are looked at one by one to find those that differ."""

MOST_PARTS: Final = 64

SHOWN_LETTERS: Final = 80
"""Of each column of a key."""

Source = Callable[[Callable[[Rows], None]], None]
"""Hands over the other side's rows, some at a time; the same ones each time."""

NONE: Final = np.zeros(0, np.uint64)


@dataclass(frozen=True)
class RowDifference:
    """One row that differs: its key as staging has it (or its number), and how.

    `columns` differ; without any, one side has the row `held` times, the other `expected` times.
    """

    row: str
    columns: tuple[str, ...]
    held: int
    expected: int


@dataclass(frozen=True)
class Comparison:
    """What the passes found: `equal` if every sum was.

    `columns` are those that differ in rows that both sides have, and in how many. `count` rows
    differ; all of them were counted if it is `complete`. `seconds` is the warehouse's pass alone.
    """

    equal: bool
    rows: int
    expected: int
    columns: tuple[tuple[str, int], ...] = ()
    differing: tuple[RowDifference, ...] = ()
    count: int = 0
    complete: bool = True
    seconds: float = 0.0


@dataclass
class Compared:
    """One table in the warehouse and the rows that it should have."""

    held: Held
    plan: Plan
    source: Source
    reads: Reads
    progress: Progress
    left_out: Hashes = field(default_factory=lambda: NONE)

    def compare(self) -> Comparison:
        """Compares the sums, and looks for the rows that differ if the sums do."""
        with ThreadPoolExecutor(1) as passing:
            pending = passing.submit(self._timed_totals)
            expected = self._summed()
            totals, seconds = pending.result()
        if totals == expected.totals():
            return Comparison(equal=True, rows=totals[0], expected=totals[0], seconds=seconds)
        return self._found(totals, expected, seconds)

    def _timed_totals(self) -> tuple[list[int], float]:
        began = time.perf_counter()
        return self.held.totals(self.plan, self.left_out), time.perf_counter() - began

    def _summed(self) -> Sums:
        sums = Sums(self.plan, self.reads, self.left_out)
        step, done = f"reconcile {self.held.source}, rows", 0

        def take(rows: Rows) -> None:
            nonlocal done
            sums.add(rows)
            done += rows.count
            self.progress(step, done, None)

        self.progress(step, 0, None)
        self.source(take)
        self.progress(step, done, done)
        return sums

    def _found(self, totals: Sequence[int], expected: Sums, seconds: float) -> Comparison:
        held = self.held.parts(self.plan, self.left_out)
        nothing = [0] * len(totals)
        differing = [p for p in range(PARTS) if held.get(p, nothing) != expected.part(p)]
        per_part = max(1, max(totals[0], expected.totals()[0]) // PARTS)
        taken = differing[: max(1, min(MOST_PARTS, LOOKED_AT_ROWS // per_part))]
        rows = self._rows(taken)
        cells = Counter(name for row in rows for name in row.columns)
        return Comparison(
            equal=False,
            rows=totals[0],
            expected=expected.totals()[0],
            columns=tuple((c.name, cells[c.name]) for c in self.plan.compared if cells[c.name]),
            differing=tuple(rows[:SHOWN_ROWS]),
            count=len(rows),
            complete=len(taken) == len(differing),
            seconds=seconds,
        )

    def _rows(self, parts: Sequence[int]) -> list[RowDifference]:
        """The rows of these parts that differ."""
        ours = self.held.rows_of(self.plan, parts, self.left_out)
        if not self.plan.keyed:
            return self._copies({name: count for name, count, _, _ in ours}, parts)
        theirs = self._expected_rows(parts)
        found = []
        for name, _, cells, key in ours:
            other, _ = theirs.pop(name, (None, ""))
            if other is None:
                found.append(RowDifference(self._key(key), (), 1, 0))
            elif other != cells:
                pairs = zip(self.plan.compared, cells, other, strict=True)
                columns = tuple(c.name for c, mine, its in pairs if mine != its)
                found.append(RowDifference(self._key(key), columns, 1, 1))
        found += [RowDifference(key, (), 0, 1) for _, key in theirs.values()]
        return sorted(found, key=lambda row: row.row)

    def _expected_rows(self, parts: Sequence[int]) -> dict[int, tuple[list[int], str]]:
        sums = Sums(self.plan, self.reads)
        found: dict[int, tuple[list[int], str]] = {}

        def take(rows: Rows, names: Hashes) -> None:
            cells = np.array(sums.cells_of(rows, names), np.uint64).reshape(-1, rows.count)
            keys = [_shown(rows, column.name) for column in self.plan.naming]
            for i, name in enumerate(names.tolist()):
                found[name] = cells[:, i].tolist(), self._key([key[i] for key in keys])

        self._each(sums, parts, take)
        return found

    def _each(self, sums: Sums, parts: Sequence[int], take: Callable[[Rows, Hashes], None]) -> None:
        def pick(rows: Rows) -> None:
            picked, names = in_parts(rows, sums.names(rows), parts)
            if len(self.left_out):
                picked, names = without(picked, names, self.left_out)
            if picked.count:
                take(picked, names)

        self.source(pick)

    def _copies(self, held: dict[int, int], parts: Sequence[int]) -> list[RowDifference]:
        expected: Counter[int] = Counter()

        def take(rows: Rows, names: Hashes) -> None:
            copies = np.ones(rows.count, np.int64) if rows.copies is None else rows.copies
            for name, count in zip(names.tolist(), copies.tolist(), strict=True):
                expected[name] += count

        self._each(Sums(self.plan, self.reads), parts, take)
        return [
            RowDifference(f"row {name:016x}", (), held.get(name, 0), expected[name])
            for name in sorted(held.keys() | expected.keys())
            if held.get(name, 0) != expected[name]
        ]

    def _key(self, texts: Sequence[str]) -> str:
        pairs = zip(self.plan.naming, texts, strict=True)
        return ", ".join(f"{column.name}={text[:SHOWN_LETTERS]}" for column, text in pairs)


def _shown(rows: Rows, column: str) -> list[str]:
    """The values of a key's column as texts."""
    given = rows.columns[column]
    forms = [form.to_pylist() for form in (given.values, given.texts) if form is not None]
    return [str(next((v for v in row if v is not None), "")) for row in zip(*forms, strict=True)]
