"""Slot and publication as production has them, and whether they agree with what is landed.

Here: the single catalog statement, its result, the guard that decides whether capture may go on.
Not here: the connection (replication.py).

One statement reads the slot together with the publication, because PostgreSQL 18 only warns when a
publication is missing and then sends nothing: reading the slot alone would look like silence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from analytics_replica.domain.batches import (
    Catalog,
    Manifest,
    SlotState,
    SourceIdentity,
)
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import PositionMismatch, SlotBusy, SourceNotPrepared
from analytics_replica.source.catalog_tables import READ_TABLES, catalog_from_row

READ_STATE: Final = f"""
-- the slot, the publication with its tables and columns, and the settings that matter; catalogs
-- only, one row, no lock beyond those of any catalog read
select json_build_object(
    'wal_level', current_setting('wal_level'),
    'server_version', current_setting('server_version_num')::int,
    'database', current_database(),
    'inserted', pg_current_wal_insert_lsn(),
    'writer_delay_ms', (select setting::bigint from pg_settings where name = 'wal_writer_delay'),
    'segment_bytes', (select setting::bigint from pg_settings where name = 'wal_segment_size'),
    'slot', (
        select json_build_object(
            'plugin', s.plugin, 'database', s.database, 'active_pid', s.active_pid,
            'restart_lsn', s.restart_lsn, 'confirmed_lsn', s.confirmed_flush_lsn,
            'wal_status', s.wal_status, 'safe_wal_bytes', s.safe_wal_size)
        from pg_replication_slots s where s.slot_name = %(slot)s),
    'publication', (
        select json_build_object('oid', p.oid::bigint, 'all_tables', p.puballtables,
            'via_root', p.pubviaroot,
            'operations', array[p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate])
        from pg_publication p where p.pubname = %(publication)s),
    'tables', (
        select json_agg(json_build_array(t.schemaname, t.tablename, t.attnames) order by 1, 2)
        from pg_publication_tables t where t.pubname = %(publication)s),
    'catalog', ({READ_TABLES}))
"""


_WRITER_ROUNDS: Final = 4
"""An asynchronous commit is flushed after at most three wal_writer_delays (manual, "Asynchronous
Commit"); one more for a busy machine."""

_PAGE: Final = 8192
_SHORT_HEADER: Final = 24
_LONG_HEADER: Final = 40
"""The log's page (XLOG_BLCKSZ) and what stands at the start of each, and of each segment."""


@dataclass(frozen=True)
class SourceState:
    """What the catalog read said. `slot` and `publication` are None if they do not exist.

    `present` is the end of the log as it is written in memory: everything that was committed
    before the read ends before it, also what `synchronous_commit = off` has not flushed yet; that
    is flushed within `flushed_within`.
    """

    wal_level: str
    server_version: int
    database: str
    present: Lsn
    flushed_within: timedelta
    slot: Mapping[str, Any] | None
    publication: Mapping[str, Any] | None
    tables: Mapping[TableName, tuple[str, ...]]
    catalog: Catalog | None = None

    @property
    def fingerprint(self) -> str:
        """Changes when the publication is made anew; not when tables are added to it."""
        oid = self.publication["oid"] if self.publication else 0
        return hashlib.sha256(f"publication {oid}".encode()).hexdigest()[:16]

    def identity(self, system: str, timeline: int, slot: str, publication: str) -> SourceIdentity:
        """What must stay the same from batch to batch."""
        return SourceIdentity(system, timeline, self.database, slot, publication, self.fingerprint)

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


def state_from_row(row: str | Mapping[str, Any]) -> SourceState:
    """The state in the row that READ_STATE gives (replication connections give JSON as text)."""
    body = json.loads(row) if isinstance(row, str) else row
    tables = {TableName(s, t): tuple(columns or ()) for s, t, columns in body["tables"] or ()}
    present = end_of_record(Lsn.parse(body["inserted"]), body["segment_bytes"])
    return SourceState(
        wal_level=body["wal_level"],
        server_version=body["server_version"],
        database=body["database"],
        present=present,
        flushed_within=_WRITER_ROUNDS * timedelta(milliseconds=body["writer_delay_ms"]),
        slot=body["slot"],
        publication=body["publication"],
        tables=tables,
        catalog=catalog_from_row(present, body["catalog"]),
    )


def end_of_record(insert_position: Lsn, segment_bytes: int) -> Lsn:
    """Where the last record ends, if the next one would start at `insert_position`.

    The same, but for a position right behind the header of an empty page: a stream never gets
    there before something is written, and waiting for it would never end on a silent server.
    """
    value = insert_position.value
    header = _LONG_HEADER if value % segment_bytes == _LONG_HEADER else _SHORT_HEADER
    return Lsn(value - header) if value % _PAGE == header else insert_position


def require_prepared(state: SourceState, slot: str, publication: str) -> None:
    """SourceNotPrepared, naming the first thing that is missing; SlotBusy if it is being read."""
    if state.wal_level != "logical":
        raise _missing(
            f"wal_level is {state.wal_level}, not logical",
            "Have the DBA set wal_level = logical and restart production.",
        )
    _require_publication(state, publication)
    _require_slot(state, slot)


def _require_publication(state: SourceState, publication: str) -> None:
    if state.publication is None:
        raise _missing(f"publication {publication} does not exist", _RUN_SCRIPT)
    if state.publication["all_tables"]:
        raise _missing(
            f"publication {publication} is FOR ALL TABLES",
            "It would send columns that nobody classified, and it blocks writes to tables "
            "without a replica identity. " + _RUN_SCRIPT,
        )
    if not all(state.publication["operations"]):
        raise _missing(
            f"publication {publication} leaves out some of insert, update, delete, truncate",
            _RUN_SCRIPT,
        )


def _require_slot(state: SourceState, slot: str) -> None:
    if state.slot is None:
        raise _missing(f"slot {slot} does not exist", _RUN_SCRIPT)
    if state.slot["plugin"] != "pgoutput" or state.slot["database"] != state.database:
        raise _missing(
            f"slot {slot} is of plugin {state.slot['plugin']} in database "
            f"{state.slot['database']}, not of pgoutput in {state.database}",
            "Name another slot in replica.yaml. " + _RUN_SCRIPT,
        )
    if state.slot["wal_status"] == "lost" or state.slot["restart_lsn"] is None:
        raise PositionMismatch(
            what=f"Slot {slot} is lost: production removed log that was not read yet.",
            why="The changes in it can only come back with a new copy.",
            next="Have the DBA drop and make the slot again (`analytics-replica source sql`), "
            "then run `analytics-replica capture --first-copy`; staging stays readable meanwhile.",
        )
    if state.slot["active_pid"] is not None:
        raise SlotBusy(
            what=f"Slot {slot} is being read by server process {state.slot['active_pid']}.",
            why="A slot has one reader, so nothing can be read twice.",
            next="Wait for the other capture to end.",
        )


def require_policy_published(state: SourceState, wanted: Mapping[TableName, Sequence[str]]) -> None:
    """SourceNotPrepared unless the publication holds exactly these tables, with these columns.

    More columns are accepted: what nobody classified is sealed. Without a column list PostgreSQL
    names all columns here.
    """
    for table in sorted(set(wanted) - set(state.tables)):
        raise _missing(
            f"the publication does not hold {table}, which replica.yaml lists", _RUN_SCRIPT
        )
    for table in sorted(set(state.tables) - set(wanted)):
        raise _missing(
            f"the publication holds {table}, which replica.yaml does not list",
            "Add the table to replica.yaml, or take it out of the publication. " + _RUN_SCRIPT,
        )
    for table, columns in sorted(wanted.items()):
        for column in sorted(set(columns) - set(state.tables[table])):
            raise _missing(
                f"the publication does not hold {table}.{column}, which replica.yaml lists",
                _RUN_SCRIPT,
            )


def guard_resume(last: Manifest, identity: SourceIdentity, slot: SlotState) -> None:
    """PositionMismatch if going on after `last` could skip or mix changes.

    Landing, slot, system, timeline, database and publication must agree, and the slot may not have
    been moved beyond what is landed.
    """
    before = last.source
    for what, then, now in (
        ("system identifier", before.system_identifier, identity.system_identifier),
        ("timeline", str(before.timeline), str(identity.timeline)),
        ("database", before.database, identity.database),
        ("slot", before.slot, identity.slot),
        ("publication", before.publication, identity.publication),
        (
            "publication's identity (it was made anew)",
            before.publication_fingerprint,
            identity.publication_fingerprint,
        ),
    ):
        if then != now:
            raise PositionMismatch(
                what=f"Production's {what} is {now}; landing was filled with {then}.",
                why="Changes in between may be missing, so capture stopped before reading.",
                next="If this is the right production, take a new copy with "
                "`analytics-replica capture --first-copy`.",
            )
    if slot.confirmed_lsn > last.position:
        gap = slot.confirmed_lsn - last.position
        raise PositionMismatch(
            what=f"Slot {identity.slot} stands at {slot.confirmed_lsn}, but landing ends at "
            f"{last.position}: {gap:,} bytes of log were released without being landed.",
            why="Somebody advanced or recreated the slot, or landing was restored from an older "
            "backup. Going on would silently lose what lies between.",
            next="Restore landing's newer manifests, or take a new copy with "
            "`analytics-replica capture --first-copy`.",
        )


_RUN_SCRIPT: Final = "Have the DBA run what `analytics-replica source sql` prints."


def _missing(what: str, then: str) -> SourceNotPrepared:
    return SourceNotPrepared(
        what=f"Production is not prepared: {what}.",
        why="Without it the log cannot be read as agreed; nothing was read.",
        next=then,
    )
