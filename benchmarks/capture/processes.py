"""What the kernel says of processes: the time they used, the core they may use.

Here: /proc and scheduling. Not here: whose processes these are (readers.py, writers.py).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from analytics_replica_tests.support.servers import Database

_LOOK_S: Final = 0.02
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_CORES: Final = sorted(os.sched_getaffinity(0))
"""Those that we may use; read before anything is pinned."""


class WalsenderTime:
    """CPU seconds of the walsender that serves a slot; `seconds` grows until it ends.

    A process takes its figures with it, so they are looked at every 20 ms: so much may be missing.
    """

    def __init__(self, production: Database, slot: str) -> None:
        self.seconds = 0.0
        self._production = production
        self._query = f"select active_pid from pg_replication_slots where slot_name = '{slot}'"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        pid = None
        with self._production.session() as cursor:
            while pid is None and not self._over.wait(_LOOK_S):
                cursor.execute(self._query)
                (pid,) = cursor.fetchone()
        while pid is not None and not self._over.wait(_LOOK_S):
            used = cpu_seconds(pid)
            if used is None:
                return
            self.seconds = used

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process so far; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Processes that are started within run on this core only, and so do their children.

    Cores are counted among those that we may use; where there is one, everything shares it.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_CORES[number % len(_CORES)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
