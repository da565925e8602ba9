"""The production of a benchmark: a server that keeps what it promises (fsync is on).

Here: its settings. Not here: what it is used for.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from analytics_replica.postgres.binaries import find_binaries
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.pipeline import open_directory
from analytics_replica_tests.support.servers import SETTINGS, Database

PRODUCTION: Final = {
    **SETTINGS,
    "fsync": "on",
    "shared_buffers": "512MB",
    # No checkpoint and no vacuum falls into one reader's turn and not into another's.
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "max_connections": "50",
}


@contextmanager
def server_on_disk(settings: dict[str, str] | None = None) -> Iterator[LocalServer]:
    """A new server with our role, reachable by socket and TCP; removed when the block ends."""
    root = open_directory()
    server = LocalServer(find_binaries(), root / "data", port=_free_port(), tcp=True)
    try:
        server.initialise()
        server.start({**PRODUCTION, **(settings or {})})
        Database(server, "postgres").execute("create role analytics_replica login replication")
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(root, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
