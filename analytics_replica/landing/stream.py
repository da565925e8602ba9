"""The stream: from messages of the log to batches.

Here: the loop, and the order of effects: files, manifest, confirm. Not here: how far to go and when
a batch ends (courses.py), what precedes the stream (capture.py), one batch's files (batch.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import pyarrow as pa

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import ZERO, Lsn
from analytics_replica.domain.progress import Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.ahead import read_ahead
from analytics_replica.landing.batch import BatchInProgress, Origin
from analytics_replica.landing.courses import Course
from analytics_replica.landing.events import sealed_events
from analytics_replica.landing.layout import Store
from analytics_replica.landing.points import Reached
from analytics_replica.landing.shapes import Shapes
from analytics_replica.landing.silence import record_silence
from analytics_replica.landing.spill import Spill
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.settings.load import Settings
from analytics_replica.settings.secrets import MaskingKeys
from analytics_replica.source.pending import Pending
from analytics_replica.source.replication import Quiet, Read, SourceConnection
from analytics_replica.source.streamed import Committed, Step, StreamAborted, StreamCommitted
from analytics_replica.source.transactions import Collector

CHUNK_ROWS: Final = 8192
CHUNK_BYTES: Final = 32 * 2**20
"""Rows of a relation are decoded together when this much is collected: it bounds memory, also
inside one transaction of any size."""

OPEN_BYTES: Final = 8 * 2**20
"""What open transactions may hold together before they are spilled. Decoding and sealing take six
times as much for a moment (2026-11-21)."""

BUNCH: Final = 16_384
"""Messages that are looked at together: enough that the cost per bunch does not count."""


def _nobody(manifest: Manifest) -> None:
    del manifest


def _nothing(work: CaptureWork) -> int:
    del work
    return 0


@dataclass
class CaptureWork:
    """What stays the same during one capture, and how far landing has come.

    `next_policy` is the policy under the key that is being rotated to, if one is: then the tables
    with tokens are sealed twice.

    `look_again` may renew `origin` before a batch is published. `heard` is told of each batch when
    it exists; it must not raise. `at_boundary` may land batches between two of the stream; it says
    how many.
    """

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
    heard: Callable[[Manifest], None] = _nobody
    look_again: Callable[[CaptureWork], object] = _nothing
    at_boundary: Callable[[CaptureWork], int] = _nothing
    landed: list[Manifest] = field(default_factory=list)
    silent_to: Lsn = ZERO
    next_policy: Policy | None = None

    @property
    def position(self) -> Lsn:
        """Where the stream goes on."""
        return self.last[0].position if self.last else Lsn(0)

    @property
    def confirmable(self) -> Lsn:
        """What production may forget: what is landed, and recorded silence behind it."""
        return max(self.position, self.silent_to)

    @property
    def batch_rows(self) -> int:
        """After how many changes a batch ends."""
        return self.settings.replica.landing.batch_rows

    def shapes(self) -> Shapes:
        """What landing knows of the tables' shapes now."""
        catalog = self.origin.catalog
        return Shapes.landed(self.store, self.policy, self.keys, catalog, self.next_policy)

    def new_batch(self) -> BatchInProgress:
        """The batch after the last one."""
        sequence, digest = (self.last[0].sequence + 1, self.last[1]) if self.last else (1, "")
        return BatchInProgress(self.store, sequence, digest, self.origin, self.reached)

    def has_landed(self, manifest: Manifest, digest: str) -> None:
        """Remembers the newest batch."""
        self.last = (manifest, digest)
        self.origin = replace(self.origin, incomplete=manifest.incomplete)
        self.landed.append(manifest)
        self.heard(manifest)


def stream(work: CaptureWork, source: SourceConnection, course: Course) -> None:
    """Lands what commits, in as many batches as it takes, until the course is over.

    After an error the batches that have a manifest stay; the rest is read again by the next
    capture.
    """
    # Arrow's own pools keep what threads of decoding, writing and reading back have freed: 60 MB of
    # 340 for a transaction of two million rows, at equal CPU time (2026-11-21).
    pa.set_memory_pool(pa.system_memory_pool())
    origin = work.origin
    source.start(origin.source.slot, origin.publications, work.position, work.server_version)
    landing = _Stream(work, course, work.shapes())
    confirmed = work.position

    def confirm_what_is_landed() -> None:
        nonlocal confirmed
        if work.confirmable > confirmed:
            confirmed = work.confirmable
            source.confirm(confirmed)  # 3. only now may production forget it

    try:
        reads = source.read(min(BUNCH, work.batch_rows), course.look_s)
        read_ahead(reads, landing.consume, confirm_what_is_landed)
    finally:
        landing.batch.discard()
        landing.spill.drop_all()


@dataclass
class _Stream:
    work: CaptureWork
    course: Course
    shapes: Shapes
    collector: Collector = field(default_factory=Collector)
    written_rows: int = 0
    messages: int = 0
    last_commit_at: datetime | None = None

    def __post_init__(self) -> None:
        self.batch = self.work.new_batch()
        self.spill = Spill(self.work.store, self.work.reached)
        self.complete_to = self.work.position
        self.began = self.looked = self.work.clock.now()

    def consume(self, reads: Iterator[Read]) -> None:
        """Takes what was read until the course is over."""
        for read in reads:
            if self._is_over(read):
                self._publish()
                self.work.progress("stream", self.messages, self.messages)
                return

    def _is_over(self, read: Read) -> bool:
        if isinstance(read, Quiet):
            if self.collector.in_transaction:
                return False
            self.complete_to = max(self.complete_to, read.complete_to)
            self._publish_if_due()
            self._record_silence_if_due()
            return self.course.is_over(self.complete_to, self.work.clock.now(), quiet=True)
        self.messages += len(read)
        for step in self.collector.take(read):
            if self._took(step) and self._nothing_more():
                return True
        self._bound_memory()
        self.work.progress("stream", self.messages, None)
        return False

    def _nothing_more(self) -> bool:
        return self.course.is_over(self.complete_to, self.work.clock.now(), quiet=False)

    def _publish_if_due(self) -> None:
        rows = self.written_rows + self.collector.rows
        changes = self.collector.transactions > 0
        now = self.work.clock.now()
        if rows >= self.work.batch_rows or self.course.is_due(self.began, now, changes=changes):
            self._publish()

    def _record_silence_if_due(self) -> None:
        """Lets an idle production forget its log without a batch for every look."""
        work, now = self.work, self.work.clock.now()
        busy = self.collector.transactions or self.collector.open or self.written_rows
        if busy or work.last is None or self.complete_to <= work.confirmable:
            return
        if self.course.is_silence_due(self.looked, now):
            record_silence(work.store, work.last[1], self.complete_to, now)
            work.silent_to, self.looked = self.complete_to, now

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
                self._publish_if_due()
                return True

    def _bound_memory(self) -> None:
        self._write(self.collector.full(CHUNK_ROWS, CHUNK_BYTES))
        if self.collector.size > 2 * CHUNK_BYTES:
            self._write(self.collector.everything())
        if sum(transaction.bytes for transaction in self.collector.open.values()) > OPEN_BYTES:
            self._spill()

    def _write(self, relations: Iterable[Pending]) -> None:
        for table, seal, events in self._sealed(relations, self.collector.commit_times):
            self.batch.write(table, seal, events)
            self.written_rows += events.num_rows

    def _spill(self) -> None:
        for xid, transaction in self.collector.open.items():
            for table, seal, events in self._sealed(transaction.everything(), {}):
                self.spill.write(xid, table, seal, events)

    def _sealed(
        self, relations: Iterable[Pending], commit_times: Mapping[int, datetime]
    ) -> Iterator[tuple[TableName, TableSeal, pa.RecordBatch]]:
        """The events of these relations; of those that replica.yaml does not list, none."""
        for pending in relations:
            shape = self.shapes.of(pending.table)
            if shape is None:
                pending.clear()  # published and not listed: capture's report names it
                continue
            table, seals = shape
            for seal in seals:
                self.work.reached("decode")
                events = sealed_events(pending, table, seal, commit_times)
                if seal is seals[-1]:
                    pending.clear()
                self.work.reached("seal")
                yield table.name, seal, events

    def _publish(self) -> None:
        """Ends the batch at the last complete transaction. The order is the promise."""
        if self.complete_to <= self.work.position:
            return
        self._write(self.collector.everything())
        self.work.look_again(self.work)
        self.batch.origin = self.work.origin
        manifest, digest = self.batch.publish(  # 1. files, 2. manifest: now the batch exists
            self.work.position,
            self.complete_to,
            transactions=self.collector.transactions,
            last_commit_at=self.last_commit_at,
            now=self.work.clock.now(),
        )
        self.work.has_landed(manifest, digest)
        if self.work.at_boundary(self.work):
            if self.work.policy != self.shapes.policy:
                self.spill.go_on_under_next_key()
            self.shapes = self.work.shapes()
        self.batch = self.work.new_batch()
        self.written_rows = self.collector.transactions = 0
        self.last_commit_at = None
        self.began = self.work.clock.now()
        self.collector.commit_times.clear()
