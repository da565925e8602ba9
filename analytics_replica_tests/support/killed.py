"""Work in a process of its own, which ends as the test wants: by kill -9, or refused.

Here: starting such a process and how it ended. Not here: what is judged afterwards.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

from analytics_replica.errors import ReplicaError
from analytics_replica_tests.support.pipeline import Pipeline

KILLED = -signal.SIGKILL

Reached = Callable[[str], None]


@dataclass
class At:
    """Does something when a named point is reached for the n-th time; counts all points."""

    point: str
    do: Callable[[], object]
    times: int = 1
    seen: dict[str, int] = field(default_factory=dict)

    def __call__(self, name: str) -> None:
        """Hears of a point."""
        self.seen[name] = self.seen.get(name, 0) + 1
        if name == self.point and self.seen[name] == self.times:
            self.do()


def kill_this_process() -> None:
    """Ends by kill -9: nothing is flushed, closed or tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(point: str, run: Callable[[Reached], object], times: int = 1) -> None:
    """Runs the work in a process of its own, which dies when it reaches the point so often."""
    process = multiprocessing.get_context("fork").Process(
        target=run, args=(At(point, kill_this_process, times),)
    )
    process.start()
    process.join(120)
    assert process.exitcode == KILLED


def captures(pipeline: Pipeline, reached: Reached, before: Callable[[], object] = int) -> int:
    """How a capture in a process of its own ended: 0, the error's exit code, or -9."""
    process = _started(pipeline, reached, before)
    process.join(120)
    assert process.exitcode is not None, "the capture hangs"
    return process.exitcode


def is_killed_after(pipeline: Pipeline, seconds: float) -> int:
    """How a capture ended that was killed after this time, unless it was complete before."""
    here, there = multiprocessing.Pipe()
    process = _started(pipeline, lambda _: None, lambda: there.send("ready"))
    here.recv()
    process.join(seconds)
    process.kill()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def wait_until_free(pipeline: Pipeline) -> None:
    """Waits until production has noticed that the slot's reader is dead."""
    until = time.monotonic() + 30
    while pipeline.production.scalar(_BUSY, (pipeline.slot,)):
        assert time.monotonic() < until, "production still believes that the slot is read"


_BUSY = "select active from pg_replication_slots where slot_name = %s"


def _started(pipeline: Pipeline, reached: Reached, before: Callable[[], object]) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(
        target=_capture, args=(pipeline, reached, before)
    )
    process.start()
    return process


def _capture(pipeline: Pipeline, reached: Reached, before: Callable[[], object]) -> None:
    before()
    try:
        pipeline.capture(reached=reached)
    except ReplicaError as error:
        os._exit(error.exit_code)
