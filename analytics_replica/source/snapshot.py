"""The physical copy that a first copy reads instead of production.

Here: taking a base backup over the replication protocol, recovering it to one exact position,
reading whole tables from it, and removing it whatever happens. Not here: what is done with the
rows (landing.initial_copy).

A base backup holds raw data. It lives in a private directory on production's side of the line and
is gone when the copy ends, fails, or at the next start after a crash.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import Table
from analytics_replica.errors import CopyFailed, DemoError, SourceError
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.connect import Connection, connect, parts_of, refused
from analytics_replica.postgres.local_server import START_TIMEOUT_S, LocalServer

BACKUP: Final = "base_backup"

_FROM_CONTROL_FILE: Final = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
"""A server that recovers needs at least production's values; pg_controldata knows them."""

_QUIET: Final = {
    "hot_standby": "on",
    "recovery_target": "immediate",
    "recovery_target_action": "pause",
    "restore_command": "false",
    "archive_mode": "off",
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "logging_collector": "off",
    "log_statement": "none",
    "shared_preload_libraries": "",
    "ssl": "off",
}
"""Production's own settings are not used: they could archive, log or listen."""


@dataclass(frozen=True)
class PhysicalCopy:
    """A server that holds production as it was at `position`.

    It has every transaction whose commit record starts before it, and no other.
    """

    dsn: str
    position: Lsn
    system_identifier: str


@contextlib.contextmanager
def base_backup(
    source_dsn: str, directory: Path, bin_dir: Path, checkpoint: str
) -> Iterator[PhysicalCopy]:
    """A recovered base backup of production, paused at the end of the backup; gone afterwards.

    CopyFailed if it cannot be taken or recovered.
    """
    server = LocalServer(bin_dir, directory / BACKUP)
    remove_left_over(server)
    try:
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        server.prepare_directory()
        _take(server, source_dsn, checkpoint)
        _recover(server)
        dsn = _as_superuser(server, source_dsn)
        _stand_still(dsn)
        yield inspect(dsn)
    except DemoError:
        # The server's log is not repeated: production's own log is part of a base backup.
        raise _failed(
            "the base backup could not be recovered",
            "Check that the disk is not full and that source.postgres_bin has the programs of "
            "production's major version; or name a standby in source.physical_copy.",
        ) from None
    finally:
        remove_left_over(server)


def remove_left_over(server: LocalServer) -> None:
    """Stops and removes a base backup, also one that a crash left behind."""
    target = server.data_dir.resolve()
    if not target.exists() and not server.data_dir.is_symlink():
        return
    with contextlib.suppress(subprocess.CalledProcessError):
        server.stop("immediate")
    shutil.rmtree(target, ignore_errors=True)
    if server.data_dir.is_symlink():
        server.data_dir.unlink()


def inspect(dsn: str) -> PhysicalCopy:
    """The physical copy behind this DSN: CopyFailed unless it stands still at a known position."""
    opened = connect(dsn, application="analytics-replica first copy")
    try:
        with opened, opened.cursor() as cursor:
            cursor.execute(
                """
                -- where replay stands (it stays known after recovery ended), whether it stands
                -- still, and of which system this is a copy
                select pg_last_wal_replay_lsn()::text, pg_is_in_recovery(),
                       case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end,
                       (select system_identifier::text from pg_control_system())
                """
            )
            replayed, recovering, pause, system = cursor.fetchone() or (None, None, None, "")
    finally:
        opened.close()
    if replayed is None:
        raise _failed(
            "the server given as a physical copy never replayed a log, so it is not a copy",
            "Name a standby or a restored backup.",
        )
    if recovering and pause != "paused":
        raise _failed(
            f"replay on the physical copy is {pause}, so its tables would come from different "
            "moments",
            "Run `select pg_wal_replay_pause()` there, then copy again.",
        )
    return PhysicalCopy(dsn, Lsn.parse(replayed), system)


def read_rows(connection: Connection, table: Table, sink: Callable[[bytes], None]) -> None:
    """Sends every row of the table, as one line of CSV each, to `sink`.

    Columns in the table's order; every value that is not NULL is quoted, NULL is empty. Errors
    name the table and the SQLSTATE only.
    """
    statement = sql.compose(
        "copy (select {columns} from {table}) to stdout (format csv, null '', force_quote *)",
        columns=sql.names(column.name for column in table.columns),
        table=sql.table(table.name),
    )
    try:
        with connection.cursor() as cursor:
            cursor.copy_expert(statement.text, _Sink(sink))
    except psycopg2.Error as cause:
        raise refused(cause, f"reading {table.name} from the physical copy") from None


@dataclass(frozen=True)
class _Sink:
    """psycopg2 hands over one whole row per call (PQgetCopyData), which the caller relies on."""

    write: Callable[[bytes], None]

    def read(self, size: int) -> bytes:
        """psycopg2 wants a file; nothing is ever read from this one."""
        del size
        return b""


def _take(server: LocalServer, source_dsn: str, checkpoint: str) -> None:
    parts = parts_of(source_dsn)
    password = parts.pop("password", None)
    known = " ".join(f"{key}={_conninfo(value)}" for key, value in parts.items())
    done = server.run(
        "pg_basebackup",
        # fetch: the log comes with the backup, so no temporary slot is made on production; our own
        # slot keeps what the backup needs.
        ["-d", known, "-X", "fetch", "-c", checkpoint, "--no-sync", "--no-manifest", "-w"],
        check=False,
        environment={"PGPASSWORD": password} if password else None,
    )
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        raise _failed(
            f"pg_basebackup ended with code {done.returncode}: {said[-1] if said else ''}",
            "pg_hba.conf must allow our role the database `replication` (see "
            "`analytics-replica source sql`), and the copy directory needs room for all of "
            "production's data.",
        )


def _recover(server: LocalServer) -> None:
    data = server.data_dir.resolve()
    control = server.run("pg_controldata", []).stdout.decode()
    needed = {
        setting: match[1]
        for setting, label in _FROM_CONTROL_FILE.items()
        if (match := re.search(rf"^{label}:\s+(\d+)$", control, re.MULTILINE))
    }
    (data / "postgresql.auto.conf").write_text("")
    (data / "copy.conf").write_text("")
    (data / "copy_hba.conf").write_text("local all all trust\n")
    (data / "recovery.signal").touch()
    (data / "backup_label.old").unlink(missing_ok=True)
    server.own(data)
    server.start(
        {
            **_QUIET,
            **needed,
            "config_file": str(data / "copy.conf"),
            "hba_file": str(data / "copy_hba.conf"),
        }
    )


def _stand_still(dsn: str) -> None:
    """Waits until replay is paused.

    A backup that was taken from a silent standby has nothing behind its consistent point, where
    recovery would stop by itself; it waits for more log there, and is asked to pause.
    """
    opened = connect(dsn, application="analytics-replica first copy")
    give_up_at = time.monotonic() + START_TIMEOUT_S
    try:
        with opened, opened.cursor() as cursor:
            cursor.execute("select pg_wal_replay_pause()")
            while time.monotonic() < give_up_at:
                cursor.execute("select pg_get_wal_replay_pause_state()")
                if cursor.fetchone() == ("paused",):
                    return
                time.sleep(0.05)
    finally:
        opened.close()


def _as_superuser(server: LocalServer, source_dsn: str) -> str:
    """A DSN for the copy with a role that may read every table.

    The names of superusers are not known beforehand, but our own role exists in the copy and may
    look them up.
    """
    parts = parts_of(source_dsn)
    database, role = parts.get("dbname", "postgres"), parts.get("user", "postgres")
    opened = connect(server.dsn(database, role), application="analytics-replica first copy")
    try:
        with opened, opened.cursor() as cursor:
            cursor.execute("select rolname from pg_roles where rolsuper and rolcanlogin limit 1")
            row = cursor.fetchone()
    finally:
        opened.close()
    if row is None:
        raise _failed("production has no superuser that may log in", "Name a physical copy's DSN.")
    return server.dsn(database, row[0])


def _conninfo(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _failed(what: str, then: str) -> SourceError:
    return CopyFailed(
        what=f"The first copy failed: {what}.",
        why="Nothing was landed, the slot was not moved, and no copy of production was left.",
        next=then,
    )
