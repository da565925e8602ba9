"""How far a stream goes and when its batches end: to the present, or on and on.

Here: the two courses. Not here: the stream that takes them (stream.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from analytics_replica.domain.lsn import Lsn
from analytics_replica.landing.layout import Store

SILENCE_EVERY: Final = timedelta(seconds=10)
"""A follower confirms so often what other databases and unpublished tables wrote."""


class Course(Protocol):
    """When a batch ends, and when the stream does. Both are asked between transactions."""

    @property
    def look_s(self) -> float:
        """How long a silent stream may go on without being asked."""
        ...

    def is_over(self, complete_to: Lsn, now: datetime, *, quiet: bool) -> bool:
        """True if nothing more is wanted; `quiet` says that the server has nothing just now."""
        ...

    def is_due(self, since: datetime, now: datetime, *, changes: bool) -> bool:
        """True if a batch that was begun `since` then should end, though it could grow."""
        ...

    def is_silence_due(self, since: datetime, now: datetime) -> bool:
        """True if silence should be recorded and confirmed, which was last done `since` then."""
        ...


@dataclass(frozen=True)
class ToThePresent:
    """Reads everything `flushed`, and what was only `written` as soon as it is flushed.

    With synchronous_commit off a commit is flushed within three wal_writer_delays: what is not
    flushed by `give_up_at` belongs to a transaction that is still open. Ends under constant writes,
    because the positions stand still.
    """

    flushed: Lsn
    written: Lsn
    give_up_at: datetime
    look_s: float = 0.01

    def is_over(self, complete_to: Lsn, now: datetime, *, quiet: bool) -> bool:
        """True if everything that was written is complete, or flushed and out of patience."""
        out_of_patience = quiet and now > self.give_up_at
        return complete_to >= self.written or (out_of_patience and complete_to >= self.flushed)

    def is_due(self, since: datetime, now: datetime, *, changes: bool) -> bool:
        """Never: a batch ends when it is large enough."""
        del since, now, changes
        return False

    def is_silence_due(self, since: datetime, now: datetime) -> bool:
        """Never: the last batch holds the silence, too."""
        del since, now
        return False


@dataclass(frozen=True)
class Following:
    """Reads on until `stopped`; lands changes `every` so often, and silence every `silence`.

    Whoever wants the present landed at once asks through the store (`Store.ask_to_land`).
    """

    store: Store
    every: timedelta
    silence: timedelta
    stopped: Callable[[], bool]
    look_s: float = 0.1

    def is_over(self, complete_to: Lsn, now: datetime, *, quiet: bool) -> bool:
        """True as soon as it was stopped."""
        del complete_to, now, quiet
        return self.stopped()

    def is_due(self, since: datetime, now: datetime, *, changes: bool) -> bool:
        """True when the time has come, or somebody asked."""
        return now - since >= (self.every if changes else self.silence) or (
            self.store.was_asked_to_land()
        )

    def is_silence_due(self, since: datetime, now: datetime) -> bool:
        """True when the time has come: seldom enough for a disk, often enough for the log."""
        return now - since >= SILENCE_EVERY
