"""Real deaths: a piece of work in a process of its own, killed with SIGKILL at a named point.

Here: forking, killing, checking that it really died there. Not here: what the work is.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable

Reached = Callable[[str], None]


def killed_at(point: str, run: Callable[[Reached], object], times: int = 1) -> None:
    """Runs the work in a child, which is killed when it reaches the point for the nth time."""
    process = multiprocessing.get_context("fork").Process(target=_die, args=(point, run, times))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def _die(point: str, run: Callable[[Reached], object], times: int) -> None:
    seen = 0

    def reached(name: str) -> None:
        nonlocal seen
        seen += name == point
        if seen == times:
            os.kill(os.getpid(), signal.SIGKILL)

    run(reached)
