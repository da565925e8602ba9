"""The messages of pgoutput (logical replication protocol, versions 1 to 4), framing only.

Here: parsing the messages that frame transactions and describe relations; pure functions of bytes.
Not here: reading them from a connection (replication.py), what they mean for each other
(transactions.py), decoding rows (columnar.py): the bodies of Insert, Update and Delete are left as
they are. Source: PostgreSQL manual, "Logical Replication Message Formats".

Inside a streamed block, every message but Stream Stop carries the id of its (sub-)transaction
behind its kind: `at` tells the parsers where their own fields begin.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import Column, Identity, Table, TableName
from analytics_replica.errors import StreamInvalid
from analytics_replica.postgres.type_names import type_name

BEGIN: Final = ord("B")
COMMIT: Final = ord("C")
ORIGIN: Final = ord("O")
RELATION: Final = ord("R")
TYPE: Final = ord("Y")
INSERT: Final = ord("I")
UPDATE: Final = ord("U")
DELETE: Final = ord("D")
TRUNCATE: Final = ord("T")
MESSAGE: Final = ord("M")
STREAM_START: Final = ord("S")
STREAM_STOP: Final = ord("E")
STREAM_COMMIT: Final = ord("c")
STREAM_ABORT: Final = ord("A")
BEGIN_PREPARE: Final = ord("b")
PREPARE: Final = ord("P")
COMMIT_PREPARED: Final = ord("K")
ROLLBACK_PREPARED: Final = ord("r")
STREAM_PREPARE: Final = ord("p")

ROW_KINDS: Final = frozenset({INSERT, UPDATE, DELETE})
IGNORED_KINDS: Final = frozenset({ORIGIN, TYPE, MESSAGE})
"""Messages without effect on any row: origins, names of user types, logical messages."""

TWO_PHASE_KINDS: Final = frozenset(
    {BEGIN_PREPARE, PREPARE, COMMIT_PREPARED, ROLLBACK_PREPARED, STREAM_PREPARE}
)
"""Only a slot made with two_phase sends them: every other slot sends a prepared transaction whole
when it is committed."""

PLAIN: Final = 1
"""Where a message's fields begin outside of a streamed block."""
STREAMED: Final = 5
"""Where they begin inside of one: behind the id of the (sub-)transaction."""

_POSTGRES_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BEGIN: Final = struct.Struct(">xQqI")
_COMMIT: Final = struct.Struct(">xxQQq")
_RELATION_OID: Final = struct.Struct(">I")
_STREAM_COMMIT: Final = struct.Struct(">xIxQQq")
_STREAM_ABORT: Final = struct.Struct(">xII")
_COLUMN: Final = struct.Struct(">Ii")
_IDENTITY_KEY: Final = 1


@dataclass(frozen=True, slots=True)
class Begin:
    """A committed transaction begins; `commit_lsn` is where its commit record starts."""

    commit_lsn: Lsn
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Commit:
    """The transaction is complete; `end_lsn` is the first byte after its commit record."""

    commit_lsn: Lsn
    end_lsn: Lsn


@dataclass(frozen=True, slots=True)
class StreamCommit:
    """The streamed transaction is complete: everything of `xid` that was not aborted counts."""

    xid: int
    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class StreamAbort:
    """What `subxid` did within `xid` never happened; all of it if the two are the same."""

    xid: int
    subxid: int


@dataclass(frozen=True, slots=True)
class Relation:
    """The shape of a table from here on. Key flags are those of the replica identity."""

    oid: int
    table: Table


@dataclass(frozen=True, slots=True)
class Truncate:
    """These relations are emptied, all at once."""

    oids: tuple[int, ...]


def parse_begin(payload: bytes) -> Begin:
    """The Begin message in these bytes."""
    lsn, microseconds, _ = _BEGIN.unpack(payload)
    return Begin(Lsn(lsn), _time(microseconds))


def parse_commit(payload: bytes) -> Commit:
    """The Commit message in these bytes."""
    commit_lsn, end_lsn, _ = _COMMIT.unpack(payload)
    return Commit(Lsn(commit_lsn), Lsn(end_lsn))


def parse_stream_commit(payload: bytes) -> StreamCommit:
    """The Stream Commit message in these bytes."""
    xid, commit_lsn, end_lsn, microseconds = _STREAM_COMMIT.unpack(payload)
    return StreamCommit(xid, Lsn(commit_lsn), Lsn(end_lsn), _time(microseconds))


def parse_stream_abort(payload: bytes) -> StreamAbort:
    """The Stream Abort message in these bytes (position and time, if sent, are not needed)."""
    return StreamAbort(*_STREAM_ABORT.unpack_from(payload))


def transaction_id(payload: bytes) -> int:
    """The id behind the kind: of Stream Start the transaction's, in its block the part's."""
    return int.from_bytes(payload[1:5], "big")


def parse_relation(payload: bytes, at: int = PLAIN) -> Relation:
    """The Relation message in these bytes."""
    (oid,) = _RELATION_OID.unpack_from(payload, at)
    schema, at = _text(payload, at + 4)
    name, at = _text(payload, at)
    identity = Identity(chr(payload[at]))
    count = int.from_bytes(payload[at + 1 : at + 3], "big")
    at += 3
    columns = []
    for _ in range(count):
        flags = payload[at]
        column, at = _text(payload, at + 1)
        type_oid, modifier = _COLUMN.unpack_from(payload, at)
        at += 8
        known = type_name(type_oid, modifier)
        columns.append(Column(column, type_oid, modifier, known, bool(flags & _IDENTITY_KEY)))
    # pg_catalog's name is sent as the empty text.
    table = TableName(schema or "pg_catalog", name)
    return Relation(oid, Table(table, tuple(columns), identity, oid))


def parse_truncate(payload: bytes, at: int = PLAIN) -> Truncate:
    """The Truncate message in these bytes; what CASCADE reached is already in its list."""
    count = int.from_bytes(payload[at : at + 4], "big")
    return Truncate(struct.unpack_from(f">{count}I", payload, at + 5))


def unknown(kind: int) -> StreamInvalid:
    """The error for a message that no version of the protocol has, or that we did not ask for."""
    if kind in TWO_PHASE_KINDS:
        return StreamInvalid(
            what="The slot sends transactions when they are prepared (it was made with two_phase).",
            why="A prepared transaction may still be rolled back, so it cannot be landed, and the "
            "slot would not send it a second time.",
            next="Have the DBA make the slot again as `analytics-replica source sql` prints it, "
            "then run `analytics-replica capture --first-copy`.",
        )
    return StreamInvalid(
        what=f"The log contains a message of kind {chr(kind)!r}, which the protocol does not have.",
        why="Skipping what we do not understand could lose changes, so capture stopped.",
        next="Check that production is PostgreSQL 14 to 18, and report its version.",
    )


def _time(microseconds: int) -> datetime:
    return _POSTGRES_EPOCH + timedelta(microseconds=microseconds)


def _text(payload: bytes, at: int) -> tuple[str, int]:
    end = payload.index(0, at)
    return payload[at:end].decode(), end + 1
