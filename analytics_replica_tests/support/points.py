"""The points of an apply: before each statement, between the rows of a load, around the commit.

Here: hearing of them, and an apply in a process of its own that dies at one. Not here: what is
judged afterwards.

The driver and PostgreSQL are the real ones; only the calls on their way to the driver are heard.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from analytics_replica.domain.clock import FixedClock
from analytics_replica.settings.load import Settings, load_settings
from analytics_replica.staging import warehouse
from analytics_replica.staging.apply import ApplyReport, apply_pending
from analytics_replica_tests.support.killed import KILLED, Reached, kill_this_process

NOW = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
"""So that two applies of the same landing leave the same ledger."""

ROWS_AT_ONCE = 2
"""Rows of a load between two points."""

COMMIT, COMMITTED = "commit", "committed"
"""The points right before the commit is sent, and right after its answer."""


@dataclass
class Points:
    """Hears of every point in order; does something at the n-th (counted from 0)."""

    at: int | None = None
    do: Callable[[], object] = kill_this_process

    def __post_init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        """Hears of a point."""
        self.names.append(" ".join(name.split())[:80])
        if len(self.names) - 1 == self.at:
            self.do()


class _Heard:
    """The driver's connection or cursor; what it is asked for is told first."""

    def __init__(self, real: Any, reached: Reached) -> None:
        self._real = real
        self._reached = reached

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __enter__(self) -> Self:
        self._real.__enter__()
        return self

    def __exit__(self, *ended: object) -> Any:
        return self._real.__exit__(*ended)

    def cursor(self) -> _Heard:
        return _Heard(self._real.cursor(), self._reached)

    def execute(self, statement: str, values: Any = None) -> None:
        self._reached(statement)
        self._real.execute(statement, values)

    def adbc_ingest(self, table: str, reader: pa.RecordBatchReader, **how: Any) -> int:
        self._reached(f"load {table}")
        heard = pa.RecordBatchReader.from_batches(reader.schema, self._batches(table, reader))
        return int(self._real.adbc_ingest(table, heard, **how))

    def commit(self) -> None:
        self._reached(COMMIT)
        self._real.commit()
        self._reached(COMMITTED)

    def _batches(self, table: str, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in reader:
            for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                yield batch.slice(start, ROWS_AT_ONCE)
                self._reached(f"rows of {table}")


@contextlib.contextmanager
def heard(reached: Reached) -> Iterator[None]:
    """Inside, every transaction in the warehouse tells its points."""
    opened = warehouse._open
    warehouse._open = lambda *how: _Heard(opened(*how), reached)
    try:
        yield
    finally:
        warehouse._open = opened


def apply_heard(settings: Settings, reached: Reached) -> ApplyReport:
    """An apply that tells its points, at a fixed time."""
    with heard(reached):
        return apply_pending(settings, NOW)


def started_apply(file: Path, dsn: str, number: int | None = None) -> BaseProcess:
    """An apply in a process of its own, which is killed when it reaches this point.

    The process is forked from one that has imported everything, and has no thread or connection.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "pytest"])
    process = context.Process(target=_apply_and_die, args=(file, dsn, number))
    process.start()
    return process


def killed_apply(file: Path, dsn: str, number: int) -> bool:
    """True if an apply was killed at this point; false if it ended before."""
    process = started_apply(file, dsn, number)
    process.join(120)
    assert process.exitcode in (0, KILLED), process.exitcode
    return process.exitcode == KILLED


def _apply_and_die(file: Path, dsn: str, number: int | None) -> None:
    apply_heard(load_settings(file, {"WAREHOUSE": dsn}), Points(number))
