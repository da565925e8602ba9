"""How far long work is: bars for people at a terminal, plain lines for logs.

Here: the two ways of showing domain.progress.Progress. Not here: who reports (landing, staging).
Both write to stderr, so that stdout holds the result alone.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from analytics_replica.cli.terminal import ERR, note
from analytics_replica.domain.progress import SILENT, Progress

SECONDS_BETWEEN_LINES = 10.0
"""A log wants to know that work goes on, not how each row does."""


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Shows what is reported within the block; nothing at all if `quiet`."""
    if quiet:
        yield SILENT
    elif ERR.is_terminal:
        with _bars() as bars:
            yield _ShownAsBars(bars)
    else:
        yield ShownAsLines()


@dataclass
class ShownAsLines:
    """A line when a step begins, when it ends, and now and then between, with the time left."""

    now: Callable[[], float] = time.monotonic
    _began: dict[str, tuple[float, int]] = field(default_factory=dict)
    _spoke: dict[str, float] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """Takes the report."""
        now = self.now()
        self._began.setdefault(step, (now, done))
        ends = total is not None and done >= total and step not in self._ended
        if not ends and now - self._spoke.get(step, float("-inf")) < SECONDS_BETWEEN_LINES:
            return
        self._spoke[step] = now
        if ends:
            self._ended.add(step)
        of = f" of {total:,}" if total is not None else ""
        left = "" if ends or not total else self._left(step, done, total, now)
        note(f"{step}: {done:,}{of}{left}" if done or total else f"{step} …", "")

    def _left(self, step: str, done: int, total: int, now: float) -> str:
        """How long the rest takes if it goes on as it did until now; nothing before that is known.

        What was done at the first report (a step that goes on after a crash) took no time.
        """
        began, at_first = self._began[step]
        if done <= at_first:
            return ""
        seconds = (now - began) * (total - done) / (done - at_first)
        return f", about {math.ceil(seconds / 60)} min left"


@dataclass
class _ShownAsBars:
    bars: Bars
    _tasks: dict[str, TaskID] = field(default_factory=dict)

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if step not in self._tasks:
            self._tasks[step] = self.bars.add_task(step, total=total)
        self.bars.update(self._tasks[step], completed=done, total=total)


def _bars() -> Bars:
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=ERR,
        transient=True,
    )
