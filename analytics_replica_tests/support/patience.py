"""Waiting for what another process or thread does, with a limit.

Here: one way of waiting. Not here: sleeping and hoping.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Waits for a condition; fails if it does not come to hold."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to hold in time"
        time.sleep(0.05)
