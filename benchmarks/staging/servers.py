"""The servers of the staging benchmark: a production, and a warehouse on a server of its own.

Here: both, and PostgreSQL's own subscription as the reference. Not here: our side (applied.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg2

from analytics_replica_tests.support.servers import Database, fresh_database
from benchmarks.capture.server import Remote, running_by_tcp, running_production
from benchmarks.capture.workload import CREATE, TABLE

NATIVE: Final = "native"
"""The publication, subscription and slot of the reference."""

_POLL_S: Final = 0.02


@contextmanager
def running_pair() -> Iterator[tuple[Database, Database]]:
    """A production and a warehouse, on two servers with the same settings."""
    with running_production() as production, running_by_tcp({}) as server:
        Database(server, "postgres").execute("create role loader login")
        with fresh_database(server, "warehouse", owner="loader") as made:
            yield production, Remote(server, made.name)


@dataclass(frozen=True)
class Subscription:
    """PostgreSQL's own logical replication of the benchmark's table, unmasked."""

    production: Database
    subscriber: Database

    def make(self) -> None:
        """Subscribes to what is committed from now on; nothing is applied yet."""
        self.production.execute(f"create publication {NATIVE} for table {TABLE}")
        self.subscriber.execute(CREATE)
        self._run(
            f"create subscription {NATIVE} connection '{self.production.dsn()}' "
            f"publication {NATIVE} with (copy_data = false, enabled = false, "
            "create_slot = true, connect = true)"
        )

    def apply(self) -> float:
        """Seconds until everything that production committed can be read in the subscriber."""
        last = self.production.scalar(f"select max(id) from {TABLE}")
        began = time.perf_counter()
        self._run(f"alter subscription {NATIVE} enable")
        with closing(psycopg2.connect(self.subscriber.dsn())) as opened:
            opened.autocommit = True
            with opened.cursor() as cursor:
                while True:
                    cursor.execute(f"select from {TABLE} where id = {last}")
                    if cursor.rowcount:
                        break
                    time.sleep(_POLL_S)
        seconds = time.perf_counter() - began
        self._run(f"alter subscription {NATIVE} disable")
        self._await_end()
        return seconds

    def drop(self) -> None:
        """Ends it and frees its slot."""
        self._run(f"drop subscription {NATIVE}")

    def _await_end(self) -> None:
        workers = (
            "select count(*) from pg_stat_activity where backend_type like 'logical rep%apply%'"
        )
        while self.subscriber.scalar(workers):
            time.sleep(_POLL_S)

    def _run(self, statement: str) -> None:
        with closing(psycopg2.connect(self.subscriber.dsn())) as opened:
            opened.autocommit = True
            with opened.cursor() as cursor:
                cursor.execute(statement)
