"""The stream: from messages of the log to batches, up to one position.

Here: the loop, when a batch ends, and the order of effects: files, manifest, confirm. Not here:
what precedes the stream (capture.py), one batch's files (batch.py), decoding (source).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import Progress
from analytics_replica.landing.batch import BatchInProgress, Origin
from analytics_replica.landing.events import sealed_events
from analytics_replica.landing.layout import Store
from analytics_replica.landing.shapes import Shapes
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings
from analytics_replica.settings.secrets import MaskingKeys
from analytics_replica.source.replication import SourceConnection
from analytics_replica.source.transactions import Collector, Pending

CHUNK_ROWS: Final = 50_000
CHUNK_BYTES: Final = 32 * 2**20
"""Rows of a relation are decoded together when this much is collected: it bounds memory, also
inside one transaction of any size."""

LOOK_EVERY: Final = 4096
"""Messages between two looks at how much is collected: looking costs more than collecting."""


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
    reached: Callable[[str], None]
    server_major: int
    last: tuple[Manifest, str] | None
    landed: list[Manifest] = field(default_factory=list)

    @property
    def position(self) -> Lsn:
        """Where the stream goes on."""
        return self.last[0].position if self.last else Lsn(0)

    def new_batch(self) -> BatchInProgress:
        """The batch after the last one."""
        sequence, digest = (self.last[0].sequence + 1, self.last[1]) if self.last else (1, "")
        return BatchInProgress(self.store, sequence, digest, self.origin)

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
    source.start(work.origin.source.slot, work.origin.source.publication, work.position)
    shapes = Shapes.landed(work.store, work.policy, work.keys, work.origin.catalog)
    stream = _Stream(work, source, shapes)
    try:
        stream.run(target)
    finally:
        stream.batch.discard()


@dataclass
class _Stream:
    work: CaptureWork
    source: SourceConnection
    shapes: Shapes
    collector: Collector = field(default_factory=Collector)
    transactions: int = 0
    written_rows: int = 0
    messages: int = 0
    last_commit_at: datetime | None = None

    def __post_init__(self) -> None:
        self.batch = self.work.new_batch()
        self.complete_to = self.work.position

    def run(self, target: Target) -> None:
        """Reads until everything before `target` is landed and confirmed."""
        give_up_at = self.work.clock.now() + target.patience
        for payload in self.source.messages():
            if payload is not None:
                self._take(payload)
            elif not self.collector.in_transaction:
                self.complete_to = max(self.complete_to, self.source.read_lsn)
                if self.complete_to >= target.flushed and self.work.clock.now() > give_up_at:
                    break
            if self.complete_to >= target.written:
                break
        self._publish()
        self.work.progress("stream", self.messages, self.messages)

    def _take(self, payload: bytes) -> None:
        commit = self.collector.take(payload)
        self.messages += 1
        if self.messages % LOOK_EVERY == 0:
            self._write(self.collector.full(CHUNK_ROWS, CHUNK_BYTES))
            self.work.progress("stream", self.messages, None)
        if commit is None:
            return
        self.transactions += 1
        self.last_commit_at = self.collector.commit_times[commit.commit_lsn.value]
        self.complete_to = commit.end_lsn
        if self.written_rows + self.collector.rows >= self.work.settings.replica.landing.batch_rows:
            self._publish()

    def _write(self, relations: Iterable[Pending]) -> None:
        for pending in relations:
            shape = self.shapes.of(pending.table)
            if shape is None:  # the publication holds a table that replica.yaml does not list
                pending.clear()
                continue
            table, seal = shape
            events = sealed_events(pending, table, seal, self.collector.commit_times)
            pending.clear()
            self.batch.writer(table.name, seal).write(events)
            self.written_rows += events.num_rows

    def _publish(self) -> None:
        """Ends the batch at the last complete transaction. The order is the promise."""
        if self.complete_to <= self.work.position:
            return
        self._write(self.collector.everything())
        manifest, digest = self.batch.publish(  # 1. files, 2. manifest: now the batch exists
            BatchKind.STREAM,
            self.work.position,
            self.complete_to,
            transactions=self.transactions,
            last_commit_at=self.last_commit_at,
            now=self.work.clock.now(),
            reached=self.work.reached,
        )
        self.work.has_landed(manifest, digest)
        self.source.confirm(manifest.to_lsn)  # 3. only now may production forget it
        self.batch = self.work.new_batch()
        self.transactions = self.written_rows = 0
        self.last_commit_at = None
        self.collector.commit_times.clear()
