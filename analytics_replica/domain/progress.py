"""How far long work is, told to whoever wants to show it.

Here: the one shape of such a report. Not here: bars and printing (cli).
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how far a step is: `done` of `total` units; `total` is None while it is unknown."""

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """Takes the report; must be quick, and must not raise."""
        ...


def _ignore(step: str, done: int, total: int | None) -> None:
    del step, done, total


SILENT: Progress = _ignore
"""For callers that show nothing."""
