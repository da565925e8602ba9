"""A base backup of production: taken, recovered to one exact position, and gone afterwards.

Here: taking it over the replication protocol, recovering it, removing it whatever happens. Not
here: what a physical copy must be, and reading it (physical_copy.py).

A base backup holds raw data. It lives in a private directory (0700) on production's side of the
line, on the volume that `source.copy_directory` names, and is gone when the copy ends, fails, or
at the next start after a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.errors import AlreadyRunning, CopyFailed, DemoError, SourceError
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.postgres.connect import connect, parts_of
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.source.kept_log import log_kept
from analytics_replica.source.physical_copy import APPLICATION, PhysicalCopy, stopped

BACKUP: Final = "base_backup"
LOCK: Final = "base_backup.lock"

STEP: Final = "base backup, MB"

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


@contextlib.contextmanager
def base_backup(
    source_dsn: str,
    directory: Path,
    bin_dir: Path,
    checkpoint: str,
    progress: Progress = SILENT,
    keeping: str | None = None,
) -> Iterator[PhysicalCopy]:
    """A recovered base backup of production, paused at the end of the backup; gone afterwards.

    CopyFailed if it cannot be taken or recovered, or if production has tablespaces (nothing was
    written then); AlreadyRunning if another process has a base backup in this directory.
    `keeping` names a temporary slot that keeps the log meanwhile, where captures go on.
    """
    server = LocalServer(bin_dir, directory / BACKUP)
    with _one_at_a_time(directory):
        _remove(server)
        try:
            with log_kept(source_dsn, keeping) if keeping else contextlib.nullcontext():
                _take(server, source_dsn, checkpoint, progress)
            _recover(server)
            copy = stopped(_as_superuser(server, source_dsn))
            yield PhysicalCopy(copy.dsn, copy.position, copy.system_identifier, copy.timeline)
        except DemoError:
            # The server's log is not repeated: production's own log is part of a base backup.
            raise _failed(
                "the base backup could not be recovered",
                "Check that the disk is not full and that source.postgres_bin has the programs of "
                "production's major version; or name a standby in source.physical_copy.",
            ) from None
        finally:
            _remove(server)


def remove_left_over(directory: Path, postgres_bin: Path | None = None) -> bool:
    """Stops and removes a base backup that a crash left behind; True if there was one.

    One that a living process works with stays. CopyFailed if it cannot be removed.
    """
    left = directory / BACKUP
    if not left.exists() and not left.is_symlink():
        return False
    try:
        with _one_at_a_time(directory):
            _remove(LocalServer(_programs_for(left, postgres_bin), left))
    except AlreadyRunning:
        return False
    return True


@contextlib.contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    with (directory / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                what="Another process takes or reads a base backup in source.copy_directory.",
                why="There is room for one only, and it is not ours to remove.",
                next="Wait for that copy to end, then start again.",
            ) from None
        yield


def _programs_for(left: Path, postgres_bin: Path | None) -> Path:
    """The programs that can stop its server; any directory if it never became one."""
    version = left / "PG_VERSION"
    if not (left / "postmaster.pid").exists() or not version.exists():
        return Path()
    try:
        return binaries_of(int(version.read_text()), postgres_bin)
    except DemoError as cause:
        raise CopyFailed(what=cause.what, why=_RAW_IS_LEFT.format(left), next=cause.next) from None


_RAW_IS_LEFT: Final = "A crash left a base backup in {}: it holds raw data and must be removed."


def _remove(server: LocalServer) -> None:
    target = server.data_dir.resolve()
    if server.data_dir.exists():
        with contextlib.suppress(subprocess.CalledProcessError):
            server.stop("immediate")
        shutil.rmtree(target, ignore_errors=True)
    if server.data_dir.is_symlink():
        server.data_dir.unlink()
    if target.exists():
        raise CopyFailed(
            what=f"The base backup in {target} could not be removed.",
            why="It holds raw data, which may not stay after the copy.",
            next="Remove the directory by hand, then run the same command again.",
        )


def _take(server: LocalServer, source_dsn: str, checkpoint: str, progress: Progress) -> None:
    """Unpacks what pg_basebackup sends into the server's private directory.

    As a tar on its output, because then nothing can be written outside our directory: in plain
    format a tablespace goes to its absolute path. And it cannot outlive us: the pipe breaks.
    """
    parts = parts_of(source_dsn)
    password = parts.pop("password", None)
    known = " ".join(f"{key}={_conninfo(value)}" for key, value in parts.items())
    # fetch: the log comes with the backup; a replication slot keeps what it needs meanwhile.
    arguments = ["-d", known, "-D", "-", "-F", "tar", "-X", "fetch", "-c", checkpoint]
    environment = {"LC_ALL": "C"} | ({"PGPASSWORD": password} if password else {})
    progress(STEP, 0, None)
    # Appended to: pg_basebackup and we share the file's position, and we read meanwhile.
    with tempfile.TemporaryFile("a+b") as said:
        with server.piped(
            "pg_basebackup", [*arguments, "--no-manifest", "-P", "-w"], environment, said
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            unpacked = _unpack(process.stdout, server, said, progress)
        if process.returncode != 0 or not unpacked:
            raise _refusal(process.returncode, _last_line(said))
    server.own(server.data_dir.resolve())


def _unpack(stream: IO[bytes], server: LocalServer, said: IO[bytes], progress: Progress) -> bool:
    """True if a whole archive came. Nothing is made before its first bytes came."""
    taken = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=2**20) as archive:
            server.prepare_directory()
            target = server.data_dir.resolve()
            while (entry := archive.next()) is not None:
                archive.extract(entry, target, filter="data")
                # Else memory grows with the number of files; typeshed does not know the list.
                archive.members.clear()  # type: ignore[attr-defined]
                taken += entry.size
                progress(STEP, taken >> 20, _announced(said, taken))
    except tarfile.TarError:
        return False
    except OSError as cause:
        raise _failed(
            f"the disk refused the base backup: {os.strerror(cause.errno or 0)}",
            "The copy directory needs room for all of production's data.",
        ) from None
    stream.read()  # the zeros behind the archive: pg_basebackup fails if nobody takes them
    progress(STEP, taken >> 20, taken >> 20)
    return True


def _announced(said: IO[bytes], taken: int) -> int | None:
    """The whole backup's MB as pg_basebackup estimated them (`-P`); None if it did not say."""
    found = re.search(r"\d+/(\d+) kB", _last_line(said))
    return max(int(found[1]) >> 10, (taken >> 20) + 1) if found else None


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").replace("\r", "\n").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _refusal(code: int, said: str) -> SourceError:
    if "single tablespace" in said:
        return _failed(
            "production has tablespaces of its own, which a base backup of ours cannot hold",
            "Name a standby or a restored backup in source.physical_copy "
            "(docs/how-to/copy-from-a-standby.md).",
        )
    if "has already been removed" in said:
        return _failed(
            f"production removed log that the backup needs ({said})",
            "Let production keep more log for a while (wal_keep_size), or name a standby in "
            "source.physical_copy.",
        )
    return _failed(
        f"pg_basebackup ended with code {code}: {said}",
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


def _as_superuser(server: LocalServer, source_dsn: str) -> str:
    """A DSN for the copy with a role that may read every table.

    The names of superusers are not known beforehand, but our own role exists in the copy and may
    look them up.
    """
    parts = parts_of(source_dsn)
    database, role = parts.get("dbname", "postgres"), parts.get("user", "postgres")
    opened = connect(server.dsn(database, role), application=APPLICATION)
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
        what=f"The copy failed: {what}.",
        why="Nothing was landed, the slot was not moved, and no base backup was left.",
        next=then,
    )
