"""A physical copy of production that stands still: the proof that it is one, and reading it.

Here: looking at the server behind a DSN, every reason to refuse it, connections that all see the
same state, reading rows. Not here: making such a copy (base_backup.py), how tables are divided
(pieces.py), what is done with the rows (landing.initial_copy).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

import psycopg2
import psycopg2.errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from analytics_replica.domain.batches import SourceIdentity
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import Column, TableName
from analytics_replica.errors import CopyFailed, PositionMismatch, SourceError
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.connect import Connection, connect, refused
from analytics_replica.postgres.local_server import START_TIMEOUT_S
from analytics_replica.source.pieces import Piece
from analytics_replica.source.publications import inserts_name

APPLICATION: Final = "analytics-replica copy"

_UNDISTURBED: Final = (
    # A role that row security applies to would silently read a part: this makes it an error.
    "-c row_security=off "
    # Ranges of pages are to be read as such, in the order of their pages, by one process.
    "-c enable_seqscan=off -c max_parallel_workers_per_gather=0 "
    # Limits that a role or database of production has came along with the copy.
    "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 "
    # Replay that is paused never gives a lock back: waiting for one would be waiting for ever.
    "-c lock_timeout=5s"
)

_WHERE_IT_STANDS: Final = """
-- where replay stands (it stays known after recovery ended), whether it stands still, and of which
-- system and timeline this is a copy; a standby's last checkpoint may be older than its timeline
select pg_last_wal_replay_lsn()::text, pg_is_in_recovery(),
       case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end,
       (select system_identifier::text from pg_control_system()),
       greatest((select timeline_id from pg_control_checkpoint()),
                (select min_recovery_end_timeline from pg_control_recovery()))
"""

_PUBLISHED_TOO_LATE: Final = """
-- tables that came into the publication while a transaction was open that still is at the copy's
-- position: what that transaction wrote before is in neither the copy nor the stream
select n.nspname, c.relname
from pg_publication p
join pg_publication_rel r on r.prpubid = p.oid
join pg_class c on c.oid = r.prrelid
join pg_namespace n on n.oid = c.relnamespace
where p.pubname in (%s, %s) and age(r.xmin) <= age(pg_snapshot_xmin(pg_current_snapshot())::xid)
"""


@dataclass(frozen=True)
class PhysicalCopy:
    """A server that holds production as it was at `position`, and stands still there.

    It has every transaction whose commit record starts before it, and no other. `lasting` says
    that it is not ours, so it will still be there after a crash of ours.
    """

    dsn: str
    position: Lsn
    system_identifier: str
    timeline: int
    lasting: bool = False


def inspect(dsn: str) -> PhysicalCopy:
    """The physical copy behind this DSN: CopyFailed unless it stands still at a known position."""
    opened = connect(dsn, application=APPLICATION)
    try:
        with opened:
            return replace(_look(opened, dsn), lasting=True)
    except psycopg2.Error as cause:
        raise refused(cause, "looking at the physical copy") from None
    finally:
        opened.close()


def stopped(dsn: str) -> PhysicalCopy:
    """The copy of our own behind this DSN, when its replay is paused.

    A backup that was taken from a silent standby has nothing behind its consistent point, where
    recovery would stop by itself; it waits for more log there, and is asked to pause.
    """
    opened = connect(dsn, application=APPLICATION)
    give_up_at = time.monotonic() + START_TIMEOUT_S
    try:
        with opened, opened.cursor() as cursor:
            cursor.execute("select pg_wal_replay_pause()")
            while time.monotonic() < give_up_at:
                cursor.execute("select pg_get_wal_replay_pause_state()")
                if cursor.fetchone() == ("paused",):
                    break
                time.sleep(0.05)
    finally:
        opened.close()
    return inspect(dsn)


def prove(copy: PhysicalCopy, production: SourceIdentity, not_before: Lsn) -> None:
    """Returns only if this is a copy of this production, and not from before `not_before`.

    CopyFailed if it is of another system or another timeline; PositionMismatch if it is too old.
    """
    if copy.system_identifier != production.system_identifier:
        raise _failed(
            "it is not a copy of production (its system identifier differs)",
            "Name a standby or a restored backup of the server in the source DSN.",
        )
    if copy.timeline != production.timeline:
        raise _failed(
            f"it is on timeline {copy.timeline}, production on {production.timeline}: one of them "
            "was promoted, and they went apart",
            "Name a standby that follows production as it is now, or a backup taken after the "
            "promotion. If a standby followed it just now, run `checkpoint` there.",
        )
    if copy.position < not_before:
        raise PositionMismatch(
            what=f"The physical copy stands at {copy.position}, before {not_before}, where the "
            "log that we have begins.",
            why="Changes between the two would be in neither; nothing was landed.",
            next="Let the standby replay further and pause it again, or use a backup that was "
            "made after the slot.",
        )


def require_published_before(
    connection: Connection, publication: str, tables: Collection[TableName]
) -> None:
    """Returns only if the stream has every transaction whole that is open at the copy's position.

    PositionMismatch, naming the table, if one was published after such a transaction had begun.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PUBLISHED_TOO_LATE, (publication, inserts_name(publication)))
        late = sorted({TableName(*row) for row in cursor.fetchall()} & set(tables))
    if late:
        raise PositionMismatch(
            what=f"A transaction that was open when {late[0]} came into the publication is still "
            "open in the physical copy.",
            why="What it wrote before would be in neither the copy nor the log; nothing was "
            "landed.",
            next="Copy again when that transaction has ended (pg_stat_activity.xact_start on "
            "production shows it); a standby must replay its end first.",
        )


@contextlib.contextmanager
def standing_still(copy: PhysicalCopy) -> Iterator[Connection]:
    """A connection that sees the copy as it is at `copy.position`, until the block ends.

    However many there are, all see the same. CopyFailed if replay went on since it was looked at.
    """
    opened = connect(copy.dsn, application=APPLICATION, options=_UNDISTURBED)
    try:
        opened.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with opened:
            # The first statement takes the snapshot; replay that stands there afterwards stood
            # there when it was taken, for it never goes back.
            now = _look(opened, copy.dsn)
            if (now.position, now.system_identifier) != (copy.position, copy.system_identifier):
                raise _failed(
                    f"it moved on from {copy.position} to {now.position} while it was read",
                    "Keep replay paused (`select pg_wal_replay_pause()`) until the copy has ended.",
                )
            yield opened
    except psycopg2.errors.LockNotAvailable:
        raise _failed(
            "a table is locked in it: a transaction that truncates or alters a table was open on "
            "production at the copy's position",
            "Copy again when that transaction has ended (pg_stat_activity.xact_start on production "
            "shows it).",
        ) from None
    except psycopg2.Error as cause:
        raise refused(cause, "reading the physical copy") from None
    finally:
        opened.close()


def read_rows(
    connection: Connection,
    piece: Piece,
    columns: Collection[Column],
    sink: Callable[[bytes], None],
) -> None:
    """Sends every row of the piece, as one line of CSV each, to `sink`.

    Columns in the order given; every value that is not NULL is quoted, NULL is empty. Errors name
    the table and the SQLSTATE only; what `sink` raises ends the reading.
    """
    statement = sql.compose(
        "copy (select {columns} from only {relation} {pages}) "
        "to stdout (format csv, null '', force_quote *)",
        columns=sql.names(column.name for column in columns),
        relation=sql.table(piece.relation),
        pages=_pages(piece),
    )
    try:
        with connection.cursor() as cursor:
            cursor.copy_expert(statement.text, _Sink(sink))
    except psycopg2.errors.LockNotAvailable:
        raise  # standing_still says what it means
    except psycopg2.Error as cause:
        raise refused(cause, f"reading {piece.table} from the physical copy") from None


@dataclass(frozen=True)
class _Sink:
    """psycopg2 hands over one whole row per call (PQgetCopyData), which the caller relies on."""

    write: Callable[[bytes], None]

    def read(self, size: int) -> bytes:
        """psycopg2 wants a file; nothing is ever read from this one."""
        del size
        return b""


def _pages(piece: Piece) -> sql.Sql:
    conditions = [
        sql.compose(template, tid=sql.literal(f"({page},0)"))
        for template, page in (
            ("ctid >= {tid}::tid", piece.first_page),
            ("ctid < {tid}::tid", piece.end_page),
        )
        if page
    ]
    if not conditions:
        return sql.compose("")
    return sql.compose("where {all}", all=sql.join(" and ", conditions))


def _look(connection: Connection, dsn: str) -> PhysicalCopy:
    with connection.cursor() as cursor:
        cursor.execute(_WHERE_IT_STANDS)
        replayed, recovering, pause, system, timeline = cursor.fetchone() or (None,) * 5
    if replayed is None:
        raise _failed(
            "it never replayed a log, so it is not a copy",
            "Name a standby or a restored backup.",
        )
    if not recovering:
        raise _failed(
            "it was promoted: it is a server of its own now and no longer production as it was",
            "Name a standby, or restore the backup again with recovery_target_action = pause.",
        )
    if pause != "paused":
        raise _failed(
            f"its replay is {pause}, so its tables would come from different moments",
            "Run `select pg_wal_replay_pause()` there, then copy again.",
        )
    return PhysicalCopy(dsn, Lsn.parse(replayed), str(system), int(timeline))


def _failed(what: str, then: str) -> SourceError:
    return CopyFailed(
        what=f"The physical copy cannot be used: {what}.",
        why="Nothing was landed, and the slot was not moved.",
        next=then,
    )
