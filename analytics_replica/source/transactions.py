"""Whole transactions, collected per relation until enough rows are there to decode at once.

Here: following Begin, Relation, row, Truncate and Commit messages, numbering events. Not here:
where messages come from (replication.py), what becomes of the rows (landing.capture). A relation
that the log did not describe is an error, never skipped.

Ordinals: every message takes two numbers, so that a changed key is a delete and an upsert with
consecutive ordinals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from analytics_replica.domain.tables import Table
from analytics_replica.errors import StreamInvalid
from analytics_replica.source import pgoutput


@dataclass
class Pending:
    """Row messages of one relation, not decoded yet. The four lists are parallel."""

    table: Table
    payloads: list[bytes] = field(default_factory=list)
    lsns: list[int] = field(default_factory=list)
    ordinals: list[int] = field(default_factory=list)
    bytes: int = 0
    truncates: list[tuple[int, int]] = field(default_factory=list)
    """(commit LSN, ordinal) of each TRUNCATE."""

    def clear(self) -> None:
        """Forgets what was decoded."""
        self.payloads.clear()
        self.lsns.clear()
        self.ordinals.clear()
        self.truncates.clear()
        self.bytes = 0


class Collector:
    """Takes pgoutput messages in order and keeps the rows of each relation.

    After `take` returned a Commit, everything collected belongs to complete transactions. Memory is
    bounded by whoever empties `pending` (rows of one transaction may be taken out in pieces).
    """

    def __init__(self) -> None:
        self.pending: dict[int, Pending] = {}
        self.commit_times: dict[int, datetime] = {}
        self.in_transaction = False
        self._lsn = 0
        self._next_ordinal = 0
        self._reshaped: list[Pending] = []

    @property
    def rows(self) -> int:
        """Row messages that are collected and not decoded yet."""
        outdated = sum(len(p.payloads) for p in self._reshaped)
        return outdated + sum(len(p.payloads) for p in self.pending.values())

    def take(self, payload: bytes) -> pgoutput.Commit | None:
        """Takes one message; returns the Commit if it ended a transaction."""
        kind = payload[0]
        if kind in pgoutput.ROW_KINDS:
            self._row(payload)
        elif kind == pgoutput.BEGIN:
            begin = pgoutput.parse_begin(payload)
            self._lsn, self._next_ordinal = begin.commit_lsn.value, 0
            self.commit_times[self._lsn] = begin.committed_at
            self.in_transaction = True
        elif kind == pgoutput.COMMIT:
            self.in_transaction = False
            return pgoutput.parse_commit(payload)
        elif kind == pgoutput.RELATION:
            self._relation(pgoutput.parse_relation(payload))
        elif kind == pgoutput.TRUNCATE:
            for oid in pgoutput.parse_truncate(payload).oids:
                self._of(oid).truncates.append((self._lsn, self._next_ordinal))
            self._next_ordinal += 2
        elif kind not in pgoutput.IGNORED_KINDS:
            raise pgoutput.unknown(kind)
        return None

    def full(self, rows: int, size: int) -> Iterator[Pending]:
        """The relations with more rows or bytes collected than this, and outdated shapes."""
        yield from self._taken_shapes()
        for pending in self.pending.values():
            if len(pending.payloads) >= rows or pending.bytes >= size:
                yield pending

    def everything(self) -> Iterator[Pending]:
        """All relations with something collected."""
        yield from self._taken_shapes()
        for pending in self.pending.values():
            if pending.payloads or pending.truncates:
                yield pending

    def _taken_shapes(self) -> Iterator[Pending]:
        while self._reshaped:
            yield self._reshaped.pop(0)

    def _row(self, payload: bytes) -> None:
        pending = self._of(pgoutput.relation_oid(payload))
        pending.payloads.append(payload)
        pending.lsns.append(self._lsn)
        pending.ordinals.append(self._next_ordinal)
        pending.bytes += len(payload)
        self._next_ordinal += 2

    def _relation(self, relation: pgoutput.Relation) -> None:
        known = self.pending.get(relation.oid)
        if known is not None and known.table == relation.table:
            return
        if known is not None and (known.payloads or known.truncates):
            self._reshaped.append(known)
        self.pending[relation.oid] = Pending(relation.table)

    def _of(self, oid: int) -> Pending:
        try:
            return self.pending[oid]
        except KeyError:
            raise StreamInvalid(
                what=f"The log has a change of relation {oid}, which it never described.",
                why="Skipping it would lose the change, so capture stopped.",
                next="Capture again; if it comes back, report the server's version.",
            ) from None
