"""The tree of errors that a person may meet, with what happened, what it means and what to do.

    ReplicaError                     10
    ├── SettingsInvalid              20   replica.yaml or the environment is wrong
    ├── SourceError                  30   production cannot be read as agreed
    │   ├── SourceUnreachable        31
    │   ├── SourceNotPrepared        32   wal_level, publication, slot or role right is missing
    │   ├── SlotBusy                 33   another process reads the slot
    │   ├── PositionMismatch         34   slot and landing disagree: something would be skipped
    │   ├── StreamInvalid            35   the log said something that we cannot read
    │   └── CopyFailed               36   the physical copy could not be made or read
    ├── PolicyViolation              40   a column is not classified, or a mask does not fit it
    ├── LandingError                 50   landing cannot be written or read
    │   ├── LandingFull              51
    │   ├── ManifestUnreadable       52
    │   ├── LandingBroken            53   a file or manifest is missing, changed or out of order
    │   └── LandingUnreachable       54   the object store does not answer
    ├── WarehouseError               60   the analytics database refused
    │   ├── WarehouseUnreachable     61
    │   ├── ColumnNarrowed           62
    │   └── PublishRefused           63
    ├── AlreadyRunning               70   another run holds the lock
    ├── NotReady                     71   tonight's edition is not published
    ├── CheckFailed                  72   an asset check failed or did not run
    ├── NotErased                    73   something of a deleted person is still in a store
    ├── ErasureNotProven             74   a store could not be searched
    ├── DemoError                    80   the demo's servers could not be set up
    └── ProgramFault                 90   something happened that nobody expected

Here: the classes, their exit codes and their retry policy. Not here: printing (cli), alerts
(deadlines). A class is added where the caller must act differently, not for each message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True)
class Retry:
    """Whether doing the same again can help, and how long to wait before."""

    after: timedelta | None

    @property
    def helps(self) -> bool:
        """True if the same call may succeed later without anybody doing anything."""
        return self.after is not None


NEVER = Retry(None)
SOON = Retry(timedelta(seconds=30))


class ReplicaError(Exception):
    """An error for a person: what happened, why it matters, what to do next.

    The three sentences never contain a value of a row; they name tables, columns, LSNs, counts.
    """

    exit_code: ClassVar[int] = 10
    retry: ClassVar[Retry] = NEVER
    trace: tuple[str, ...] = ()
    """Classes and places in the code, for whoever mends the program; no text, no value."""

    def __init__(self, *, what: str, why: str, next: str) -> None:  # noqa: A002 - the law's word
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def __str__(self) -> str:
        return f"{self.what} {self.why} {self.next}"


class SettingsInvalid(ReplicaError):
    """replica.yaml or the environment is wrong; nothing was started."""

    exit_code = 20


class SourceError(ReplicaError):
    """Production cannot be read as agreed."""

    exit_code = 30


class SourceUnreachable(SourceError):
    """Production did not answer. Its log keeps; waiting is safe while the slot has room."""

    exit_code = 31
    retry = SOON


class SourceNotPrepared(SourceError):
    """wal_level, publication, slot or a right of our role is missing on production."""

    exit_code = 32


class SlotBusy(SourceError):
    """Another process reads our slot at this moment."""

    exit_code = 33
    retry = SOON


class PositionMismatch(SourceError):
    """The slot and what is landed disagree: going on would skip or mix changes."""

    exit_code = 34


class StreamInvalid(SourceError):
    """The log contained a message that cannot be read safely."""

    exit_code = 35


class CopyFailed(SourceError):
    """The physical copy for the first copy could not be made, recovered or read."""

    exit_code = 36


class PolicyViolation(ReplicaError):
    """A column is not classified, or a mask does not fit it. Nothing of it was stored."""

    exit_code = 40


class LandingError(ReplicaError):
    """Landing cannot be written or read."""

    exit_code = 50


class LandingFull(LandingError):
    """No space is left where batches are landed; the slot was not confirmed."""

    exit_code = 51
    retry = SOON


class ManifestUnreadable(LandingError):
    """A manifest exists but cannot be understood."""

    exit_code = 52


class LandingBroken(LandingError):
    """A landed file or manifest is missing, changed or out of order."""

    exit_code = 53


class LandingUnreachable(LandingError):
    """The object store of landing does not answer."""

    exit_code = 54
    retry = SOON


class WarehouseError(ReplicaError):
    """The analytics database refused a statement; its last good state stays."""

    exit_code = 60


class WarehouseUnreachable(WarehouseError):
    """The analytics database did not answer."""

    exit_code = 61
    retry = SOON


class ColumnNarrowed(WarehouseError):
    """The source changed a column to a type that could lose values; staging kept its state."""

    exit_code = 62


class PublishRefused(WarehouseError):
    """The new edition was not published; readers keep the last one."""

    exit_code = 63


class AlreadyRunning(ReplicaError):
    """Another run of the same kind holds the lock."""

    exit_code = 70
    retry = SOON


class NotReady(ReplicaError):
    """Tonight's edition is not published."""

    exit_code = 71


class CheckFailed(ReplicaError):
    """At least one asset check failed or did not run."""

    exit_code = 72


class NotErased(ReplicaError):
    """Something of what was to be erased is still in a store; the receipt names it."""

    exit_code = 73


class ErasureNotProven(ReplicaError):
    """A store could not be searched, so nothing is proven; the receipt names it."""

    exit_code = 74


class DemoError(ReplicaError):
    """The demo's servers or data could not be set up."""

    exit_code = 80


class ProgramFault(ReplicaError):
    """Something happened that nobody expected: told by class and place, never by its text."""

    exit_code = 90
