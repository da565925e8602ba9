"""Transactions that production sends before they are committed, and what a stream completes.

Here: what is known of an open transaction, and the steps that following the log brings. Not here:
following it (transactions.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import Table
from analytics_replica.source import pgoutput
from analytics_replica.source.pending import Pending


@dataclass(frozen=True, slots=True)
class Committed:
    """Everything is complete up to `end_lsn`, and all of it was handed out or is collected."""

    end_lsn: Lsn
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class StreamCommitted:
    """A streamed transaction is committed; what waits elsewhere of it comes before the rest.

    The rest is handed out after this step, and Committed follows.
    """

    transaction: OpenTransaction
    commit: pgoutput.StreamCommit


@dataclass(frozen=True, slots=True)
class StreamAborted:
    """A streamed transaction never happened."""

    xid: int


Step = Committed | StreamCommitted | StreamAborted


@dataclass
class OpenTransaction:
    """A transaction that production sends before it is committed.

    `tables` are relations as described within it; they hold for others only once it is committed.
    `aborted` are the sub-transactions that never happened.
    """

    xid: int
    tables: dict[int, Table] = field(default_factory=dict)
    pending: dict[int, Pending] = field(default_factory=dict)
    reshaped: list[Pending] = field(default_factory=list)
    aborted: set[int] = field(default_factory=set)
    next_ordinal: int = 0

    @property
    def bytes(self) -> int:
        """What is collected and waits in memory."""
        return sum(p.bytes for p in (*self.pending.values(), *self.reshaped))

    def everything(self) -> Iterator[Pending]:
        """All that is collected, in order for each relation."""
        while self.reshaped:
            yield self.reshaped.pop(0)
        yield from (pending for pending in self.pending.values() if not pending.empty)
