"""Time as an argument: whoever needs the present asks a clock that it was given.

Here: the two clocks. Not here: deadlines and zones (deadlines.deadline).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the present as an aware datetime in UTC."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment by the machine's clock."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still, for replays and tests."""

    at: datetime

    def now(self) -> datetime:
        """The moment that this clock was set to."""
        return self.at.astimezone(UTC)
