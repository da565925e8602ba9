"""The messages of pgoutput (logical replication protocol, version 1), framing only.

Here: parsing the messages that frame transactions and describe relations; pure functions of bytes.
Not here: reading them from a connection (replication.py), decoding rows (columnar.py): the bodies
of Insert, Update and Delete are left as they are. Source: PostgreSQL manual, "Logical Replication
Message Formats".
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

ROW_KINDS: Final = frozenset({INSERT, UPDATE, DELETE})
IGNORED_KINDS: Final = frozenset({ORIGIN, TYPE, MESSAGE})
"""Messages without effect on any row: origins, names of user types, logical messages."""

_POSTGRES_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BEGIN: Final = struct.Struct(">xQqI")
_COMMIT: Final = struct.Struct(">xxQQq")
_RELATION_OID: Final = struct.Struct(">I")
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
    return Begin(Lsn(lsn), _POSTGRES_EPOCH + timedelta(microseconds=microseconds))


def parse_commit(payload: bytes) -> Commit:
    """The Commit message in these bytes."""
    commit_lsn, end_lsn, _ = _COMMIT.unpack(payload)
    return Commit(Lsn(commit_lsn), Lsn(end_lsn))


def parse_relation(payload: bytes) -> Relation:
    """The Relation message in these bytes."""
    (oid,) = _RELATION_OID.unpack_from(payload, 1)
    schema, at = _text(payload, 5)
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


def parse_truncate(payload: bytes) -> Truncate:
    """The Truncate message in these bytes; what CASCADE reached is already in its list."""
    count = int.from_bytes(payload[1:5], "big")
    return Truncate(struct.unpack_from(f">{count}I", payload, 6))


def relation_oid(payload: bytes) -> int:
    """Which relation an Insert, Update or Delete is about."""
    return int.from_bytes(payload[1:5], "big")


def unknown(kind: int) -> StreamInvalid:
    """The error for a message that this version of the protocol does not have."""
    return StreamInvalid(
        what=f"The log contains a message of kind {chr(kind)!r}, which protocol 1 does not have.",
        why="Skipping what we do not understand could lose changes, so capture stopped.",
        next="Check that production is PostgreSQL 14 to 18, and report its version.",
    )


def _text(payload: bytes, at: int) -> tuple[str, int]:
    end = payload.index(0, at)
    return payload[at:end].decode(), end + 1
