"""Slot and publication as production has them, and whether they agree with what is landed.

Here: what the catalog read says, whether production is prepared. Not here: the statement
(catalog_read.py), the connection (replication.py), single tables (publications.py), whether capture
may go on after what is landed (resume.py).

One statement reads the slot together with the publication, because PostgreSQL 18 only warns when a
publication is missing and then sends nothing: reading the slot alone would look like silence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from analytics_replica.domain.batches import Catalog, SlotState, SourceIdentity
from analytics_replica.domain.definitions import Definitions
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import PositionMismatch, SlotBusy
from analytics_replica.source.catalog_definitions import definitions_from_row
from analytics_replica.source.catalog_tables import catalog_from_row
from analytics_replica.source.publications import (
    RUN_SCRIPT,
    Agreement,
    Member,
    Wanted,
    agree,
    inserts_name,
    members_of,
    not_prepared,
    require_publication,
)

_WRITER_ROUNDS: Final = 4
"""An asynchronous commit is flushed after at most three wal_writer_delays (manual, "Asynchronous
Commit"); one more for a busy machine."""

SUPPORTED: Final = (14, 15, 16, 17, 18)
"""The major versions whose log we read; 14 is the first that streams open transactions."""

STANDBY_SINCE: Final = 16
"""The first major version whose standbys decode."""

_MISSING_PUBLICATION_WARNS: Final = 180000
"""From here on pgoutput passes over a publication that did not exist at a place in the log."""

_PAGE: Final = 8192
_SHORT_HEADER: Final = 24
_LONG_HEADER: Final = 40
"""The log's page (XLOG_BLCKSZ) and what stands at the start of each, and of each segment."""


@dataclass(frozen=True)
class SourceState:
    """What the catalog read said. `slot` and `publication` are None if they do not exist.

    `present` is the end of the log as it is written in memory: everything that was committed
    before the read ends before it, also what `synchronous_commit = off` has not flushed yet; that
    is flushed within `flushed_within`. On a standby (`in_recovery`) it is what is replayed there.
    `inserts` is the publication of append-only tables, and `members` are those of both.
    """

    wal_level: str
    server_version: int
    database: str
    in_recovery: bool
    standby_feedback: bool
    present: Lsn
    flushed_within: timedelta
    slot: Mapping[str, Any] | None
    publication: Mapping[str, Any] | None
    inserts: Mapping[str, Any] | None
    members: tuple[Member, ...]
    catalog: Catalog | None = None
    definitions: Definitions = field(default_factory=Definitions)

    @property
    def tables(self) -> dict[TableName, tuple[str, ...]]:
        """The published tables and their columns."""
        return {member.table: member.columns for member in self.members}

    @property
    def fingerprint(self) -> str:
        """Changes when the publication is made anew; not when tables are added to it."""
        return _fingerprint(self.publication or {"oid": 0})

    def identity(self, system: str, timeline: int, slot: str, publication: str) -> SourceIdentity:
        """What must stay the same from batch to batch."""
        return SourceIdentity(
            system,
            timeline,
            self.database,
            slot,
            publication,
            self.fingerprint,
            _fingerprint(self.inserts) if self.inserts is not None else "",
        )

    def agreement(self, wanted: Wanted) -> Agreement:
        """How the publications compare with what replica.yaml lists."""
        name = self.publication["name"] if self.publication else ""
        return agree(self.members, name, wanted)

    def stream_publications(self, landed: SourceIdentity | None) -> tuple[str, ...]:
        """The publications to start the stream with, if landing was filled from `landed`.

        Before version 18 a publication that did not exist yet where the stream starts ends it with
        an error; so one that is new since `landed` waits for the next capture. None: a first copy,
        which starts the stream behind everything that is in the catalog now.
        """
        found = [p for p in (self.publication, self.inserts) if p is not None]
        late = (
            self.inserts is not None
            and landed is not None
            and landed.inserts_fingerprint != _fingerprint(self.inserts)
            and self.server_version < _MISSING_PUBLICATION_WARNS
        )
        return tuple(str(p["name"]) for p in (found[:1] if late else found))

    def slot_state(self, flushed: Lsn) -> SlotState:
        """The slot's health for manifests and checks; `flushed` is production's log position."""
        slot = self.slot or {}
        restart = Lsn.parse(slot["restart_lsn"])
        safe = slot["safe_wal_bytes"]
        return SlotState(
            restart_lsn=restart,
            confirmed_lsn=Lsn.parse(slot["confirmed_lsn"]),
            wal_status=str(slot["wal_status"]),
            retained_bytes=max(0, flushed - restart),
            safe_wal_bytes=None if safe is None else int(safe),
        )


def state_from_row(row: str | Mapping[str, Any], publication: str) -> SourceState:
    """The state in the row that READ_STATE gives (replication connections give JSON as text)."""
    body = json.loads(row) if isinstance(row, str) else row
    ours = {p["name"]: p for p in body["publications"] or ()}
    present = end_of_record(Lsn.parse(body["inserted"]), body["segment_bytes"])
    return SourceState(
        wal_level=body["wal_level"],
        server_version=body["server_version"],
        database=body["database"],
        in_recovery=body["in_recovery"],
        standby_feedback=body["standby_feedback"],
        present=present,
        flushed_within=_WRITER_ROUNDS * timedelta(milliseconds=body["writer_delay_ms"]),
        slot=body["slot"],
        publication=ours.get(publication),
        inserts=ours.get(inserts_name(publication)),
        members=members_of(body),
        catalog=catalog_from_row(present, body["catalog"]),
        definitions=definitions_from_row(body["definitions"]),
    )


def _fingerprint(publication: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"publication {publication['oid']}".encode()).hexdigest()[:16]


def end_of_record(insert_position: Lsn, segment_bytes: int) -> Lsn:
    """Where the last record ends, if the next one would start at `insert_position`.

    The same, but for a position right behind the header of an empty page: a stream never gets
    there before something is written, and waiting for it would never end on a silent server.
    """
    value = insert_position.value
    header = _LONG_HEADER if value % segment_bytes == _LONG_HEADER else _SHORT_HEADER
    return Lsn(value - header) if value % _PAGE == header else insert_position


def require_prepared(
    state: SourceState, slot: str, publication: str, *, standby: bool = False
) -> None:
    """SourceNotPrepared, naming the first thing that is missing; SlotBusy if it is being read.

    `standby` says that the DSN is meant to be a standby's.
    """
    require_server(state, standby=standby)
    if state.wal_level != "logical":
        raise not_prepared(
            f"wal_level is {state.wal_level}, not logical",
            "Have the DBA set wal_level = logical and restart production.",
        )
    require_publication(state.publication, state.inserts, publication)
    _require_slot(state, slot)


def require_server(state: SourceState, *, standby: bool) -> None:
    """SourceNotPrepared unless the server is of a supported version and in the role we expect."""
    major = state.server_version // 10_000
    if major not in SUPPORTED:
        raise not_prepared(
            f"it is PostgreSQL {major}, and versions {SUPPORTED[0]} to {SUPPORTED[-1]} are "
            "supported",
            "Nobody proved that its log is read rightly. Use a supported version.",
        )
    if standby and not state.in_recovery:
        raise not_prepared(
            "source.decode_from_standby is set, and the DSN is not a standby's",
            "Name the standby in the DSN, or take the setting out; a slot on the primary and one "
            "on a standby are two slots, so a new first copy follows.",
        )
    if state.in_recovery and not standby:
        raise not_prepared(
            "the DSN is a standby's, and source.decode_from_standby is not set",
            "Name the primary in the DSN, or set it (docs/how-to/decode-from-a-standby.md).",
        )
    if standby and major < STANDBY_SINCE:
        raise not_prepared(
            f"a standby of PostgreSQL {major} cannot decode its log; {STANDBY_SINCE} and later can",
            "Name the primary in the DSN, and take source.decode_from_standby out.",
        )


def _require_slot(state: SourceState, slot: str) -> None:
    if state.slot is None:
        raise not_prepared(f"slot {slot} does not exist", RUN_SCRIPT)
    if state.slot["plugin"] != "pgoutput" or state.slot["database"] != state.database:
        raise not_prepared(
            f"slot {slot} is of plugin {state.slot['plugin']} in database "
            f"{state.slot['database']}, not of pgoutput in {state.database}",
            "Name another slot in replica.yaml. " + RUN_SCRIPT,
        )
    if state.slot["wal_status"] == "lost" or state.slot["restart_lsn"] is None:
        raise PositionMismatch(
            what=f"Slot {slot} is lost: production removed log that was not read yet.",
            why="The changes in it can only come back with a new copy.",
            next="Run `analytics-replica recover`: it makes the slot again and takes a new copy.",
        )
    if state.slot["active_pid"] is not None:
        raise SlotBusy(
            what=f"Slot {slot} is being read by server process {state.slot['active_pid']}.",
            why="A slot has one reader, so nothing can be read twice.",
            next="Wait for the other capture to end.",
        )
