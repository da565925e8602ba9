"""The named points between the effects of a capture, at which a crash is tried.

Here: their names, in the order in which a batch passes them. Not here: the effects themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

POINTS: Final = (
    "decode",
    "seal",
    "spill",
    "stream commit",
    "file written",
    "fsync",
    "rename",
    "manifest",
    "confirm",
)
"""Before a chunk is decoded; when it is sealed and not written; when sealed rows of an open
transaction wait on disk; before these join their batch; when a file is complete, on disk for good,
and at its place; before the manifest; before the slot is confirmed."""

Reached = Callable[[str], None]


def unheard(point: str) -> None:
    """Nobody listens."""
    del point
