"""The production of a benchmark: a server that keeps what it promises (fsync is on).

Here: its settings, and how it is reached. Not here: what it is used for.

Everybody reaches it by TCP, as production is reached. This choice moves the ratio in our favour: a
unix socket holds about 180 changes, so there reader and walsender wait for each other, and capture
took 1.3 times as long as by TCP, pg_recvlogical 0.6 times (measured 2026-11-21). `--socket`
measures that instead.
"""

from __future__ import annotations

import shutil
import socket as sockets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from analytics_replica.postgres.binaries import find_binaries
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.pipeline import open_directory
from analytics_replica_tests.support.servers import SETTINGS, Database, fresh_database

PRODUCTION: Final = {
    **SETTINGS,
    "fsync": "on",
    "shared_buffers": "512MB",
    # No checkpoint and no vacuum falls into one reader's turn and not into another's.
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "max_connections": "50",
}


@dataclass(frozen=True)
class Remote(Database):
    """A database that is reached by TCP."""

    def dsn(self, user: str = "postgres") -> str:
        """The database's DSN for this role."""
        return f"postgresql://{user}@127.0.0.1:{self.server.port}/{self.name}"


@contextmanager
def running_production(
    *, socket: bool = False, settings: dict[str, str] | None = None
) -> Iterator[Database]:
    """An empty production database on a server of its own, by TCP or by socket."""
    with running_by_tcp(settings or {}) as server, fresh_database(server, "production") as made:
        yield made if socket else Remote(server, made.name)


@contextmanager
def running_by_tcp(settings: dict[str, str]) -> Iterator[LocalServer]:
    """A server that is reached by TCP and keeps what it promises; removed when the block ends."""
    root = open_directory()
    server = LocalServer(find_binaries(), root / "data", port=_free_port(), tcp=True)
    try:
        server.initialise()
        server.start({**PRODUCTION, **settings})
        Database(server, "postgres").execute("create role analytics_replica login replication")
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(root, ignore_errors=True)


def _free_port() -> int:
    with sockets.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
