"""Real PostgreSQL servers and databases for tests.

Here: one server for the whole session, fresh databases on it for each test, and a small handle to
look into them. Not here: the pipeline (support/pipeline.py).
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from analytics_replica.postgres.binaries import find_binaries
from analytics_replica.postgres.local_server import LocalServer

SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "60",
    "max_wal_senders": "30",
    "max_connections": "150",
    "max_prepared_transactions": "20",
    "fsync": "off",
    "shared_buffers": "128MB",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Database:
    """A database of a real server, as a superuser sees it."""

    server: LocalServer
    name: str

    def dsn(self, user: str = "postgres") -> str:
        """The database's DSN for this role."""
        return self.server.dsn(self.name, user)

    def execute(self, sql: str, parameters: tuple[Any, ...] | None = None) -> None:
        """Runs the statements in one committed transaction."""
        with self.session() as cursor:
            cursor.execute(sql, parameters)

    def alone(self, sql: str) -> None:
        """Runs a statement that may not stand in a transaction."""
        _autocommit(self, sql)

    def rows(self, sql: str, parameters: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
        """All rows of the query."""
        with self.session() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def scalar(self, sql: str, parameters: tuple[Any, ...] | None = None) -> Any:
        """The first column of the first row."""
        return self.rows(sql, parameters)[0][0]

    @contextmanager
    def session(self, user: str = "postgres") -> Iterator[Any]:
        """A cursor in a transaction that commits at the end of the block."""
        opened = psycopg2.connect(self.dsn(user))
        try:
            with opened, opened.cursor() as cursor:
                yield cursor
        finally:
            opened.close()


@contextmanager
def running_server(
    settings: dict[str, str] | None = None, bin_dir: Path | None = None
) -> Iterator[LocalServer]:
    """A new server that is stopped and removed when the block ends."""
    # Not pytest's tmp_path: its parents are closed to the account that PostgreSQL runs under.
    root = Path(tempfile.mkdtemp(prefix="ar-test-"))
    root.chmod(0o711)
    server = LocalServer(bin_dir or find_binaries(), root / "data")
    try:
        server.initialise()
        server.start({**SETTINGS, **(settings or {})})
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def fresh_database(server: LocalServer, prefix: str, owner: str = "postgres") -> Iterator[Database]:
    """A new database with a name of its own; dropped, with its slots, when the block ends."""
    with _made_database(server, prefix, f"owner {owner}") as made:
        yield made


@contextmanager
def copied_database(of: Database, owner: str = "postgres") -> Iterator[Database]:
    """A copy of a database that nobody is connected to; dropped when the block ends."""
    with _made_database(of.server, "copy", f"template {of.name} owner {owner}") as made:
        yield made


@contextmanager
def _made_database(server: LocalServer, prefix: str, how: str) -> Iterator[Database]:
    name = f"{prefix}_{uuid.uuid4().hex[:10]}"
    postgres = Database(server, "postgres")
    _autocommit(postgres, f"create database {name} {how}")
    try:
        yield Database(server, name)
    finally:
        _autocommit(
            postgres,
            "select pg_terminate_backend(active_pid) from pg_replication_slots "
            f"where database = '{name}' and active",
        )
        for (slot,) in postgres.rows(
            f"select slot_name from pg_replication_slots where database = '{name}'"
        ):
            _drop_slot(postgres, slot)
        _autocommit(postgres, f"drop database if exists {name} with (force)")


def _drop_slot(postgres: Database, slot: str) -> None:
    for _ in range(200):
        try:
            _autocommit(postgres, f"select pg_drop_replication_slot('{slot}')")
        except psycopg2.errors.ObjectInUse:
            continue  # its walsender was told to end and has not done so yet
        return


def _autocommit(database: Database, sql: str) -> None:
    opened = psycopg2.connect(database.dsn())
    opened.autocommit = True
    try:
        with opened.cursor() as cursor:
            cursor.execute(sql)
    finally:
        opened.close()
