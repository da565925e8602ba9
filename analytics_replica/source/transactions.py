"""Transactions, whole and streamed, collected per relation until there is enough to decode at once.

Here: following the messages that frame transactions, numbering events, telling apart what is
committed, open and aborted. Not here: where messages come from (replication.py), what becomes of
the rows (landing.stream), where those of open transactions wait (landing.spill). A relation that
the log did not describe is an error, never skipped.

Ordinals: every message takes two numbers, so that a changed key is a delete and an upsert with
consecutive ordinals. A streamed transaction counts through all its blocks; what was aborted leaves
holes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from analytics_replica.domain.tables import Table
from analytics_replica.errors import StreamInvalid
from analytics_replica.source import pgoutput
from analytics_replica.source.bunch import Bunch
from analytics_replica.source.pending import Pending
from analytics_replica.source.streamed import (
    Committed,
    OpenTransaction,
    Step,
    StreamAborted,
    StreamCommitted,
)

_OID_BYTES: Final = 4


@dataclass
class Collector:
    """Takes pgoutput messages in order and keeps the rows of each relation.

    Memory is bounded by whoever empties `pending` and `open` (rows of one transaction may be taken
    out in pieces). `commit_times` maps commit LSNs to production's clock.
    """

    commit_times: dict[int, datetime] = field(default_factory=dict)
    open: dict[int, OpenTransaction] = field(default_factory=dict)
    transactions: int = 0
    _tables: dict[int, Table] = field(default_factory=dict)
    _pending: dict[int, Pending] = field(default_factory=dict)
    _reshaped: list[Pending] = field(default_factory=list)
    _lsn: int | None = None
    _next_ordinal: int = 0
    _block: OpenTransaction | None = None
    _runs: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def in_transaction(self) -> bool:
        """True between the first and last message of a transaction or of a streamed block."""
        return self._lsn is not None or self._block is not None

    @property
    def rows(self) -> int:
        """Rows of complete transactions that are not taken yet."""
        return sum(p.rows for p in (*self._pending.values(), *self._reshaped))

    @property
    def size(self) -> int:
        """What these rows take in memory."""
        return sum(p.bytes for p in (*self._pending.values(), *self._reshaped))

    def full(self, rows: int, size: int) -> Iterator[Pending]:
        """The relations with more rows or bytes collected than this, and outdated shapes."""
        yield from self._outdated()
        for pending in self._pending.values():
            if pending.rows >= rows or pending.bytes >= size:
                yield pending

    def everything(self) -> Iterator[Pending]:
        """All relations with something collected."""
        yield from self._outdated()
        yield from (pending for pending in self._pending.values() if not pending.empty)

    def take(self, payloads: Sequence[bytes]) -> Iterator[Step]:
        """Takes messages in order; yields what they complete.

        Of several whole transactions only the last is yielded, with all before it in `pending`.
        The next step is worked out only when the one before was dealt with.
        """
        bunch = Bunch.of(payloads)
        last_commit = bunch.last(pgoutput.COMMIT)
        begin = 0
        for at in (*bunch.controls, len(payloads)):
            if at > begin:
                self._run(begin, at)
            begin = at + 1
            if at == len(payloads):
                break
            yield from self._control(payloads[at], bunch, last=at == last_commit)
        self._distribute(bunch)

    def _control(self, payload: bytes, bunch: Bunch, *, last: bool) -> Iterator[Step]:
        kind = payload[0]
        if kind == pgoutput.BEGIN:
            begin = pgoutput.parse_begin(payload)
            self._lsn, self._next_ordinal = begin.commit_lsn.value, 0
            self.commit_times[self._lsn] = begin.committed_at
        elif kind == pgoutput.COMMIT:
            commit = pgoutput.parse_commit(payload)
            self._lsn = None
            self.transactions += 1
            if last:
                self._distribute(bunch)
                yield Committed(commit.end_lsn, self.commit_times[commit.commit_lsn.value])
        elif kind == pgoutput.RELATION:
            self._distribute(bunch)
            self._relation(payload)
        elif kind == pgoutput.TRUNCATE:
            self._truncate(payload)
        elif kind not in pgoutput.IGNORED_KINDS:
            yield from self._stream_control(payload, bunch)

    def _stream_control(self, payload: bytes, bunch: Bunch) -> Iterator[Step]:
        self._distribute(bunch)
        match payload[0]:
            case pgoutput.STREAM_START:
                xid = pgoutput.transaction_id(payload)
                self._block = self.open.setdefault(xid, OpenTransaction(xid))
            case pgoutput.STREAM_STOP:
                self._block = None
            case pgoutput.STREAM_COMMIT:
                yield from self._stream_commit(pgoutput.parse_stream_commit(payload))
            case pgoutput.STREAM_ABORT:
                yield from self._stream_abort(pgoutput.parse_stream_abort(payload))
            case kind:
                raise pgoutput.unknown(kind)

    def _run(self, begin: int, end: int) -> None:
        """Remembers that the messages from `begin` to before `end` are rows of what is current."""
        count = 2 * (end - begin)
        if self._block is not None:
            self._runs.append((begin, end, 0, self._block.next_ordinal))
            self._block.next_ordinal += count
        elif self._lsn is not None:
            self._runs.append((begin, end, self._lsn, self._next_ordinal))
            self._next_ordinal += count
        else:
            raise StreamInvalid(
                what="The log has a change outside of every transaction.",
                why="It could not be told whether it was committed, so capture stopped.",
                next="Capture again; if it comes back, report the server's version.",
            )

    def _distribute(self, bunch: Bunch) -> None:
        """Hands the remembered runs to the relations they belong to."""
        if not self._runs:
            return
        runs = np.array(self._runs, np.int64)
        self._runs = []
        counts = runs[:, 1] - runs[:, 0]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(runs[:, 0], counts) + within
        ordinals = np.repeat(runs[:, 3], counts) + 2 * within
        starts, sizes = bunch.starts[rows], bunch.sizes[rows]
        if self._block is not None:
            marks = bunch.numbers(starts + pgoutput.PLAIN)
            oids = bunch.numbers(starts + pgoutput.STREAMED)
        else:
            marks = np.repeat(runs[:, 2], counts)
            oids = bunch.numbers(starts + pgoutput.PLAIN)
        if (oids == oids[0]).all():
            self._of(int(oids[0])).add(bunch.data, starts, sizes, marks, ordinals)
            return
        for oid in np.unique(oids):
            own = oids == oid
            self._of(int(oid)).add(bunch.data, starts[own], sizes[own], marks[own], ordinals[own])

    def _truncate(self, payload: bytes) -> None:
        if self._block is not None:
            mark, ordinal = pgoutput.transaction_id(payload), self._block.next_ordinal
            self._block.next_ordinal += 2
            truncate = pgoutput.parse_truncate(payload, pgoutput.STREAMED)
        else:
            mark, ordinal = self._lsn or 0, self._next_ordinal
            self._next_ordinal += 2
            truncate = pgoutput.parse_truncate(payload)
        for oid in truncate.oids:
            self._of(oid).truncates.append((mark, ordinal))

    def _relation(self, payload: bytes) -> None:
        if self._block is None:
            relation = pgoutput.parse_relation(payload)
            self._describe(relation.oid, relation.table)
            return
        relation = pgoutput.parse_relation(payload, pgoutput.STREAMED)
        self._block.tables[relation.oid] = relation.table
        outdated = self._block.pending.get(relation.oid)
        if outdated is not None and outdated.table != relation.table:
            self._block.reshaped.append(self._block.pending.pop(relation.oid))

    def _describe(self, oid: int, table: Table) -> None:
        self._tables[oid] = table
        outdated = self._pending.get(oid)
        if outdated is not None and outdated.table != table:
            self._reshaped.append(self._pending.pop(oid))

    def _stream_commit(self, commit: pgoutput.StreamCommit) -> Iterator[Step]:
        transaction = self.open.pop(commit.xid, OpenTransaction(commit.xid))
        yield StreamCommitted(transaction, commit)
        lsn = commit.commit_lsn.value
        self.commit_times[lsn] = commit.committed_at
        self.transactions += 1
        for pending in transaction.everything():
            earlier = self._pending.pop(pending.table.oid, None)
            if earlier is not None:
                self._reshaped.append(earlier)  # what committed before comes before
            pending.commit(lsn, transaction.aborted)
            self._reshaped.append(pending)
        for oid, table in transaction.tables.items():
            self._describe(oid, table)
        yield Committed(commit.end_lsn, commit.committed_at)

    def _stream_abort(self, abort: pgoutput.StreamAbort) -> Iterator[Step]:
        if abort.xid == abort.subxid:
            self.open.pop(abort.xid, None)
            yield StreamAborted(abort.xid)
        elif abort.xid in self.open:
            self.open[abort.xid].aborted.add(abort.subxid)

    def _outdated(self) -> Iterator[Pending]:
        while self._reshaped:
            yield self._reshaped.pop(0)

    def _of(self, oid: int) -> Pending:
        block = self._block
        pending = self._pending if block is None else block.pending
        if oid not in pending:
            table = self._tables.get(oid)
            if block is not None:
                table = block.tables.get(oid, table)
            if table is None:
                raise StreamInvalid(
                    what=f"The log has a change of relation {oid}, which it never described.",
                    why="Skipping it would lose the change, so capture stopped.",
                    next="Capture again; if it comes back, report the server's version.",
                )
            before = pgoutput.PLAIN if block is None else pgoutput.STREAMED
            pending[oid] = Pending(table, before + _OID_BYTES)
        return pending[oid]
