"""How long tests with random input may look: short for everybody, long for a night of its own.

Here: the one switch, `REPLICA_PROFILE=long`, and seeds. Not here: what is done with a seed.
"""

from __future__ import annotations

import os

LONG = os.environ.get("REPLICA_PROFILE") == "long"


def runs(*, short: int, long: int) -> int:
    """How many runs this profile asks for."""
    return long if LONG else short


def seeds(variable: str, *, short: int, long: int) -> list[int]:
    """The seeds to run; only the one in this environment variable if it is set (a replay)."""
    if variable in os.environ:
        return [int(os.environ[variable])]
    return list(range(1, runs(short=short, long=long) + 1))
