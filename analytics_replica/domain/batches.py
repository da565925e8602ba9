"""Batches: what was captured, as the manifests record it.

Here: the frozen description of a batch, its files and their columns. Not here: reading and writing
(landing.manifest), which batches follow each other (landing.contiguity).

Positions: a batch holds exactly the transactions whose commit record starts at or after `from_lsn`
and before `to_lsn`. An event is identified by (commit LSN, ordinal in its transaction).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import Column, TableName

OP: Final = "_replica_op"
LSN: Final = "_replica_lsn"
ORDINAL: Final = "_replica_ordinal"
COMMITTED_AT: Final = "_replica_committed_at"
SYSTEM_COLUMNS: Final = (OP, LSN, ORDINAL, COMMITTED_AT)
EXACT_PREFIX: Final = "_replica_exact."
"""Side column: the exact text of a value that the Arrow type cannot hold; the value is NULL."""
UNCHANGED_PREFIX: Final = "_replica_unchanged."
"""Side column: true where production did not log the value because it did not change (TOAST)."""
RESERVED_PREFIX: Final = "_replica_"


class Op(StrEnum):
    """What an event does.

    INSERT and UPDATE carry the row's new image. DELETE carries the old key (the whole old row for
    tables without a key). MOVE is the new image of a row whose key changed; the DELETE of its old
    key is the event with the same LSN and the ordinal before. TRUNCATE empties the table and
    carries nothing. In a copy batch every row is an INSERT.
    """

    INSERT = "i"
    UPDATE = "u"
    DELETE = "d"
    MOVE = "m"
    TRUNCATE = "t"


class BatchKind(StrEnum):
    """Where a batch came from.

    COPY: the whole content of its tables at `to_lsn`; whatever was known of them before is void.
    STREAM: the changes of the log between `from_lsn` and `to_lsn`.
    """

    COPY = "copy"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class LandedColumn:
    """A column of a landed file: what it was in production and what was done to it.

    `treatment` is the policy in words ("keep", "sealed", "token domain=email key=k1");
    `staging_type` is the PostgreSQL type of the treated value. `exact_rows` and `unchanged_rows`
    count the rows that use the side columns; where both are 0 these need not be read.
    """

    column: Column
    treatment: str
    staging_type: str
    exact_rows: int = 0
    unchanged_rows: int = 0


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One Parquet file: the events of one table in one batch. Order: by (LSN, ordinal).

    `oid` is production's table (0 in older manifests). `flaw` says which columns had to be sealed
    although the policy lists them, and why: then the file is no exact image of its events.
    """

    path: str
    table: TableName
    columns: tuple[LandedColumn, ...]
    rows: int
    bytes: int
    sha256: str
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    truncates: int = 0
    oid: int = 0
    flaw: str = ""

    @property
    def key(self) -> tuple[LandedColumn, ...]:
        """The columns that identify a row; empty for a keyless table."""
        return tuple(c for c in self.columns if c.column.key)


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which production this came from; all must agree before capture goes on."""

    system_identifier: str
    timeline: int
    database: str
    slot: str
    publication: str
    publication_fingerprint: str
    inserts_fingerprint: str = ""
    """Of the publication with the append-only tables; empty where there is none."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """What production keeps for us, as read once at the start of a capture."""

    restart_lsn: Lsn
    confirmed_lsn: Lsn
    wal_status: str
    retained_bytes: int
    safe_wal_bytes: int | None


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table as production's catalog has it: what changes when somebody replaces a part of it.

    `columns` are names and numbers of all of its columns, `key` those that identify a row. A
    renamed table or column keeps its number; one that is dropped and made again gets another.
    """

    table: TableName
    oid: int
    key: tuple[str, ...] = ()
    columns: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of_body(cls, body: dict[str, Any]) -> Self:
        """The table from its JSON form."""
        return cls(
            TableName(*body["table"]),
            body["oid"],
            tuple(body["key"] or ()),
            tuple((name, number) for name, number in body["columns"] or ()),
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    """The published tables as a catalog had them at `at`: production's, or a physical copy's."""

    at: Lsn
    tables: tuple[CatalogTable, ...]

    def named(self, table: TableName) -> CatalogTable | None:
        """The table with this name, if it is published."""
        return next((t for t in self.tables if t.table == table), None)

    def numbered(self, oid: int) -> CatalogTable | None:
        """The table with this OID, whatever its name is."""
        return next((t for t in self.tables if t.oid == oid), None)


@dataclass(frozen=True, slots=True)
class Folded:
    """What a base is, which stands for a folded batch and for all before it.

    A base has the number, the digest (for the next manifest to name) and the position of the last
    folded batch; its files hold the rows that were left there. `since` says, by path, from where
    on a table came in the shape of a file, if it is not its first.
    """

    digest: str
    batches: int
    at: datetime
    since: tuple[tuple[str, Lsn], ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One batch. It exists when its manifest does; `previous` chains it to the one before.

    `sequence` counts from 1 without gaps. `last_commit_at` is production's clock, None if the
    batch holds no transaction (production was silent, which the batch proves up to `to_lsn`).
    `catalog` is None in older manifests.
    """

    sequence: int
    kind: BatchKind
    from_lsn: Lsn
    to_lsn: Lsn
    source: SourceIdentity
    slot: SlotState
    policy: str
    files: tuple[LandedFile, ...]
    transactions: int
    last_commit_at: datetime | None
    captured_at: datetime
    previous: str
    incomplete: tuple[TableName, ...] = ()
    """Tables that have a hole since some batch: changes that were not published. They stay here
    until they are copied again."""
    published: tuple[tuple[TableName, str], ...] = ()
    """What tells a table that was in the publication all the time from one that was taken out and
    put back, for each table that was published as it should be."""
    catalog: Catalog | None = None
    folded: Folded | None = None
    """Only in a base: a copy of all tables that was made from older batches."""
    keys: tuple[tuple[str, str], ...] = ()
    """Each masking key that the batch was sealed with: its id and its check value. Empty in older
    manifests."""
    definitions: str = ""
    """The digest of the definitions that held when it was captured; empty in older manifests."""
    beside: tuple[LandedFile, ...] = ()
    """While masking keys are rotated: the same events of the tables with tokens, sealed with the
    next key. What comes on top of a copy under that key is read from here."""

    @property
    def position(self) -> Lsn:
        """Where the stream goes on after this batch.

        A copy of all tables has `from_lsn == to_lsn` and starts the stream anew there; a copy of
        some tables leaves the stream where it was, at `from_lsn`.
        """
        return self.to_lsn if self.kind is BatchKind.STREAM else self.from_lsn

    @property
    def rows(self) -> int:
        """Events in all files."""
        return sum(f.rows for f in self.files)
