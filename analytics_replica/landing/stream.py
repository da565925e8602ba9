"""The stream: from messages of the log to batches, up to one position.

Here: the loop, when a batch ends, and the order of effects: files, manifest, confirm. Not here:
what precedes the stream (capture.py), one batch's files (batch.py), decoding (source).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import Progress
from analytics_replica.landing.ahead import read_ahead
from analytics_replica.landing.batch import BatchInProgress, Origin
from analytics_replica.landing.events import sealed_events
from analytics_replica.landing.layout import Store
from analytics_replica.landing.points import Reached
from analytics_replica.landing.shapes import Shapes
from analytics_replica.landing.spill import Spill
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings
from analytics_replica.settings.secrets import MaskingKeys
from analytics_replica.source.pending import Pending
from analytics_replica.source.replication import Quiet, Read, SourceConnection
from analytics_replica.source.streamed import Committed, Step, StreamAborted, StreamCommitted
from analytics_replica.source.transactions import Collector

CHUNK_ROWS: Final = 8192
CHUNK_BYTES: Final = 32 * 2**20
"""Rows of a relation are decoded together when this much is collected: it bounds memory, also
inside one transaction of any size. Open transactions may hold as many bytes together."""

BUNCH: Final = 16_384
"""Messages that are looked at together: enough that the cost per bunch does not count."""


@dataclass
class CaptureWork:
    """What stays the same during one capture, and how far landing has come."""

    settings: Settings
    clock: Clock
    progress: Progress
    store: Store
    policy: Policy
    keys: MaskingKeys
    origin: Origin
    reached: Reached
    server_version: int
    last: tuple[Manifest, str] | None
    landed: list[Manifest] = field(default_factory=list)

    @property
    def position(self) -> Lsn:
        """Where the stream goes on."""
        return self.last[0].position if self.last else Lsn(0)

    @property
    def batch_rows(self) -> int:
        """After how many changes a batch ends."""
        return self.settings.replica.landing.batch_rows

    def new_batch(self) -> BatchInProgress:
        """The batch after the last one."""
        sequence, digest = (self.last[0].sequence + 1, self.last[1]) if self.last else (1, "")
        return BatchInProgress(self.store, sequence, digest, self.origin, self.reached)

    def has_landed(self, manifest: Manifest, digest: str) -> None:
        """Remembers the newest batch."""
        self.last = (manifest, digest)
        self.landed.append(manifest)


@dataclass(frozen=True)
class Target:
    """How far to read: everything `flushed`, and what was only `written` as soon as it is flushed.

    With synchronous_commit off a commit is flushed within three wal_writer_delays, `patience`;
    what is not flushed by then belongs to a transaction that is still open.
    """

    flushed: Lsn
    written: Lsn
    patience: timedelta


def drain(work: CaptureWork, source: SourceConnection, target: Target) -> None:
    """Lands every transaction committed before `target`, in as many batches as it takes.

    Terminates under constant writes, because `target` stands still. After an error the batches
    that have a manifest stay; the rest is read again by the next capture.
    """
    names = work.origin.source
    source.start(names.slot, names.publication, work.position, work.server_version)
    stream = _Stream(work, target, Shapes.landed(work.store, work.policy, work.keys))
    confirmed = work.position

    def confirm_what_is_landed() -> None:
        nonlocal confirmed
        if work.position > confirmed:
            source.confirm(work.position)  # 3. only now may production forget it
            confirmed = work.position

    try:
        reads = source.read(min(BUNCH, work.batch_rows))
        read_ahead(reads, stream.consume, confirm_what_is_landed)
    finally:
        stream.batch.discard()
        stream.spill.drop_all()


@dataclass
class _Stream:
    work: CaptureWork
    target: Target
    shapes: Shapes
    collector: Collector = field(default_factory=Collector)
    written_rows: int = 0
    messages: int = 0
    last_commit_at: datetime | None = None

    def __post_init__(self) -> None:
        self.batch = self.work.new_batch()
        self.spill = Spill(self.work.store, self.work.reached)
        self.complete_to = self.work.position
        self.give_up_at = self.work.clock.now() + self.target.patience

    def consume(self, reads: Iterator[Read]) -> None:
        """Takes what was read until everything before the target is landed."""
        for read in reads:
            if self._reached_target(read):
                self._publish()
                self.work.progress("stream", self.messages, self.messages)
                return

    def _reached_target(self, read: Read) -> bool:
        if isinstance(read, Quiet):
            if not self.collector.in_transaction:
                self.complete_to = max(self.complete_to, read.complete_to)
                out_of_patience = self.work.clock.now() > self.give_up_at
                if self.complete_to >= self.target.flushed and out_of_patience:
                    return True
            return self.complete_to >= self.target.written
        self.messages += len(read)
        for step in self.collector.take(read):
            if self._took(step) and self.complete_to >= self.target.written:
                return True
        self._bound_memory()
        self.work.progress("stream", self.messages, None)
        return False

    def _took(self, step: Step) -> bool:
        """True if a transaction is complete now."""
        match step:
            case StreamCommitted(transaction, commit):
                self.work.reached("stream commit")
                if self.spill.holds(commit.xid):
                    self._write(self.collector.everything())  # what committed before comes before
                for name, seal, events in self.spill.joined(commit, transaction.aborted):
                    self.batch.write(name, seal, events)
                    self.written_rows += events.num_rows
                return False
            case StreamAborted(xid):
                self.spill.drop(xid)
                return False
            case Committed(end_lsn, committed_at):
                self.complete_to, self.last_commit_at = end_lsn, committed_at
                if self.written_rows + self.collector.rows >= self.work.batch_rows:
                    self._publish()
                return True

    def _bound_memory(self) -> None:
        self._write(self.collector.full(CHUNK_ROWS, CHUNK_BYTES))
        if self.collector.size > 2 * CHUNK_BYTES:
            self._write(self.collector.everything())
        if sum(transaction.bytes for transaction in self.collector.open.values()) > CHUNK_BYTES:
            self._spill()

    def _write(self, relations: Iterable[Pending]) -> None:
        for pending in relations:
            self.work.reached("decode")
            table, seal = self.shapes.of(pending.table)
            events = sealed_events(pending, table, seal, self.collector.commit_times)
            pending.clear()
            self.work.reached("seal")
            self.batch.write(table.name, seal, events)
            self.written_rows += events.num_rows

    def _spill(self) -> None:
        for xid, transaction in self.collector.open.items():
            for pending in transaction.everything():
                self.work.reached("decode")
                table, seal = self.shapes.of(pending.table)
                events = sealed_events(pending, table, seal, {})
                pending.clear()
                self.spill.write(xid, table.name, seal, events)

    def _publish(self) -> None:
        """Ends the batch at the last complete transaction. The order is the promise."""
        if self.complete_to <= self.work.position:
            return
        self._write(self.collector.everything())
        manifest, digest = self.batch.publish(  # 1. files, 2. manifest: now the batch exists
            BatchKind.STREAM,
            self.work.position,
            self.complete_to,
            transactions=self.collector.transactions,
            last_commit_at=self.last_commit_at,
            now=self.work.clock.now(),
        )
        self.work.has_landed(manifest, digest)
        self.batch = self.work.new_batch()
        self.written_rows = self.collector.transactions = 0
        self.last_commit_at = None
        self.collector.commit_times.clear()
