"""Real standbys of real servers, as an operator would make them.

Here: making one, letting it replay so far and pausing it. Not here: servers (servers.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import SETTINGS, Database


@dataclass(frozen=True)
class Standby:
    """A standby that follows `primary` by streaming."""

    primary: LocalServer
    server: LocalServer

    def ask(self, statement: str) -> object:
        """The single value of a statement, outside of any transaction."""
        opened = psycopg2.connect(self.server.dsn())
        opened.autocommit = True
        try:
            with opened.cursor() as cursor:
                cursor.execute(statement)
                row = cursor.fetchone()
                return row[0] if row else None
        finally:
            opened.close()

    def stand_still(self) -> None:
        """Replays everything that is committed on the primary now, then pauses."""
        self.catch_up()
        self.ask("select pg_wal_replay_pause()")
        while self.ask("select pg_get_wal_replay_pause_state()") != "paused":
            pass

    def catch_up(self) -> None:
        """Replays everything that is committed on the primary now, and goes on."""
        self.ask("select pg_wal_replay_resume()")
        present = Database(self.primary, "postgres").scalar("select pg_current_wal_flush_lsn()")
        while not self.ask(f"select pg_last_wal_replay_lsn() >= '{present}'"):
            pass

    def is_copied_by(self, pipeline: Pipeline) -> None:
        """Makes the pipeline copy from this server instead of a base backup."""
        pipeline.changes["source.physical_copy"] = {"env": "COPY_DSN"}
        dsn = self.server.dsn(pipeline.production.name)
        (pipeline.root / ".env").write_text(f"COPY_DSN='{dsn}'\n")


@contextmanager
def standby_of(primary: LocalServer) -> Iterator[Standby]:
    """A new standby, removed when the block ends."""
    root = open_directory()
    server = LocalServer(primary.bin_dir, root / "standby")
    try:
        server.prepare_directory()
        _take(primary, server)
        server.start(SETTINGS)
        yield Standby(primary, server)
    finally:
        server.stop("immediate")
        shutil.rmtree(root, ignore_errors=True)


def _take(primary: LocalServer, server: LocalServer) -> None:
    server.run("pg_basebackup", ["-d", primary.dsn(), "-X", "stream", "-R", "-c", "fast"])


def left_in(directory: Path) -> list[Path]:
    """Every file below this directory."""
    return [path for path in directory.rglob("*") if path.is_file()]
