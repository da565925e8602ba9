"""Our slot made again over the replication protocol: the right that we have is enough.

Here: which slot may be dropped, dropping it, creating it, waiting with a visible reason. Not here:
the new copy that must follow (landing.recovery).

Creating a slot waits for every transaction that was open when it began, and a server that waits
does not notice that its client died. So each try has a lock_timeout, after which the server itself
removes the half-made slot, and the next try waits longer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import psycopg2
import psycopg2.errors
from psycopg2.extras import LogicalReplicationConnection

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.errors import SlotBusy, SourceNotPrepared, SourceUnreachable
from analytics_replica.postgres.connect import CONNECT_TIMEOUT_S, describe
from analytics_replica.postgres.identifiers import Sql, compose, name
from analytics_replica.source.resume import reason_of
from analytics_replica.source.slot import SourceState, require_prepared

FIRST_WAIT: Final = timedelta(seconds=5)
PATIENCE: Final = timedelta(minutes=10)
"""How long one creation may wait in all, the tries together; each waits twice as long as before."""

_OPTIONS_SINCE: Final = 150000
_FAILOVER_SINCE: Final = 170000

_DROP: Final = "DROP_REPLICATION_SLOT {slot}"
_CREATE: Final = "CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput {options}"

_SET_TIMEOUT: Final = "select set_config('lock_timeout', %s, false)"

_WAITED_FOR: Final = """
-- whose open transactions a new slot waits for: server processes, or a prepared transaction
select coalesce(string_agg(distinct coalesce('server process ' || pid, 'a prepared transaction'),
                           ', '), 'a transaction that just ended')
from pg_locks where locktype = 'transactionid' and granted and mode = 'ExclusiveLock'
"""


@dataclass(frozen=True)
class GivenUp:
    """What is lost for the slot by dropping it: the log from `since` on that it still kept.

    `why` is the server's own word for a slot that was lost already, else None.
    """

    slot: str
    since: Lsn | None
    kept_bytes: int
    why: str | None

    def __str__(self) -> str:
        if self.why is not None:
            return f"slot {self.slot}, which is lost already ({self.why})"
        return f"slot {self.slot} at {self.since}, with {self.kept_bytes:,} bytes of log it keeps"


Ask = Callable[[GivenUp], bool]
"""Shows a person what would be given up and asks whether to go on."""


def given_up(state: SourceState, slot: str, publication: str, flushed: Lsn) -> GivenUp | None:
    """What dropping our slot would give up; None if there is no slot.

    SourceNotPrepared if all else is not prepared, or the slot is not ours to drop (another plugin,
    another database); SlotBusy if somebody reads it.
    """
    found = state.slot
    alive = {"wal_status": "reserved", "restart_lsn": "0/1", "active_pid": None}
    ours = {"plugin": "pgoutput", "database": state.database}
    # A slot that is missing or lost is what this is for; whatever else is wrong must be told first.
    pretended = {**ours, **(found or {}), **alive, "active_pid": (found or {}).get("active_pid")}
    require_prepared(replace(state, slot=pretended), slot, publication)
    if found is None:
        return None
    lost = found["wal_status"] == "lost" or found["restart_lsn"] is None
    since = Lsn.parse(found["restart_lsn"]) if found["restart_lsn"] is not None else None
    kept = max(0, flushed - since) if since is not None else 0
    return GivenUp(slot, since, kept, reason_of(state) if lost else None)


def drop_slot(dsn: str, slot: str) -> None:
    """The slot is gone afterwards. SlotBusy if somebody reads it."""
    with _replication(dsn) as cursor:
        _send(cursor, compose(_DROP, slot=name(slot)))


def create_slot(
    dsn: str,
    slot: str,
    *,
    failover: bool = False,
    progress: Progress = SILENT,
    patience: timedelta = PATIENCE,
    first_wait: timedelta = FIRST_WAIT,
) -> Lsn:
    """A new slot for pgoutput; returns its position. On any error there is no half-made one.

    Waits for transactions that are open on production, and reports for whom. SlotBusy after
    `patience`; SourceNotPrepared if production cannot make it.
    """
    wait, left = first_wait, patience
    with _replication(dsn) as cursor:
        while True:
            wait = min(wait, left)
            cursor.execute(_SET_TIMEOUT, (f"{max(1, round(wait.total_seconds() * 1000))}ms",))
            try:
                return _created(cursor, slot, failover=failover)
            except psycopg2.errors.LockNotAvailable:
                left -= wait
            cursor.execute(_WAITED_FOR)
            whom = cursor.fetchone()[0]
            if left <= timedelta(0):
                raise _waited_long_enough(slot, whom, patience)
            progress(f"slot waits for {whom}", round((patience - left).total_seconds()), None)
            wait *= 2


def _created(cursor: Any, slot: str, *, failover: bool) -> Lsn:
    version = cursor.connection.server_version
    if failover and version < _FAILOVER_SINCE:
        raise SourceNotPrepared(
            what=f"Production is PostgreSQL {version // 10_000}, which has no failover slots.",
            why="replica.yaml asks for one; a slot without it would be lost with a failover.",
            next="Turn the option off in replica.yaml, or upgrade production to 17.",
        )
    wanted = Sql("NOEXPORT_SNAPSHOT")
    if version >= _OPTIONS_SINCE:
        wanted = Sql("(SNAPSHOT 'nothing', FAILOVER)" if failover else "(SNAPSHOT 'nothing')")
    _send(cursor, compose(_CREATE, slot=name(slot), options=wanted))
    return Lsn.parse(cursor.fetchone()[1])


def _send(cursor: Any, command: Sql) -> None:
    try:
        cursor.execute(command.text)
    except psycopg2.errors.ObjectInUse:
        raise SlotBusy(
            what="Another process reads the slot at this moment, so it was not dropped.",
            why="Its reader would lose its place.",
            next="Stop the other capture; pg_replication_slots.active_pid names it.",
        ) from None
    except psycopg2.errors.LockNotAvailable:
        raise
    except psycopg2.Error as cause:
        raise SourceNotPrepared(
            what=f"Production refused to make or drop the slot: {type(cause).__name__} "
            f"(SQLSTATE {cause.pgcode or 'none'}).",
            why="Nothing of landing or staging was changed.",
            next="42710: the slot is there again. 53400: raise max_replication_slots. 55000: "
            "wal_level must be logical. Then run `analytics-replica recover` again.",
        ) from None


def _waited_long_enough(slot: str, whom: str, patience: timedelta) -> SlotBusy:
    return SlotBusy(
        what=f"Slot {slot} could not be made within {patience.total_seconds():,.0f} s: it must "
        f"wait for {whom}.",
        why="A slot begins where no transaction is open that began before it. The half-made slot "
        "was removed, so it keeps no log.",
        next="Have the DBA end that transaction (pg_stat_activity, pg_prepared_xacts), then run "
        "`analytics-replica recover` again.",
    )


@contextlib.contextmanager
def _replication(dsn: str) -> Iterator[Any]:
    try:
        opened = psycopg2.connect(
            dsn,
            connection_factory=LogicalReplicationConnection,
            application_name="analytics-replica recover",
            connect_timeout=CONNECT_TIMEOUT_S,
        )
    except psycopg2.OperationalError:
        raise SourceUnreachable(
            what=f"Production at {describe(dsn)} cannot be reached.",
            why="The slot was not touched.",
            next="Run `analytics-replica doctor`, then `analytics-replica recover` again.",
        ) from None
    with contextlib.closing(opened), opened.cursor() as cursor:
        yield cursor
