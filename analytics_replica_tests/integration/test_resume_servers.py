"""The resume guard when the server itself is another one, was put back, or gave the slot up.

Each case has servers of its own; the cases on one server are in test_resume_guard.py.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.guarded import captured, lose, state, stops, write
from analytics_replica_tests.support.pipeline import ROLE, Columns, Pipeline, open_directory
from analytics_replica_tests.support.servers import SETTINGS, Database, running_server

TABLES: dict[str, Columns] = {"public.t": {"id": "keep"}}


@pytest.fixture
def alone() -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines whose production is a server of its own with these settings."""
    root, servers = open_directory(), []

    def make(warehouse: Database | None = None, **settings: str) -> Pipeline:
        context = running_server(settings)
        server = context.__enter__()
        servers.append(context)
        production = Database(server, "postgres")
        production.execute(f"create role {ROLE} login replication")
        production.execute("create table t (id int primary key)")
        place = root / str(len(servers))
        place.mkdir(mode=0o711)
        made = Pipeline(place, production, warehouse or production, TABLES)
        made.prepare()
        captured(made)
        return made

    yield make
    for context in servers:
        context.__exit__(None, None, None)
    shutil.rmtree(root, ignore_errors=True)


def test_another_server_is_told_by_its_system_identifier(
    alone: Callable[..., Pipeline],
) -> None:
    made, other = alone(), alone()
    made.production = other.production
    stops(made, 34, "system identifier", "another server", repair="analytics-replica doctor")


@pytest.mark.parametrize("ahead", [True, False])
def test_a_promoted_standby_is_told_by_its_timeline_and_where_it_parted(
    alone: Callable[..., Pipeline], warehouse: Database, *, ahead: bool
) -> None:
    made = alone(warehouse)
    server, kept = made.production.server, made.root / "kept"
    server.stop()
    shutil.copytree(server.data_dir.resolve(), kept, symlinks=True)
    if ahead:  # the old primary goes on, and what it writes is landed
        server.start(SETTINGS)
        far_ahead(made)
        captured(made)
        apply(made)
        server.stop()
    put_back(server, kept)
    (server.data_dir.resolve() / "standby.signal").touch()
    server.own(server.data_dir.resolve())
    server.start(SETTINGS)
    server.run("pg_ctl", ["-w", "promote"])
    write(made, 2)
    gap = "bytes of log are landed that production does not have" if ahead else "bytes after"
    stops(made, 34, "timeline is 2", "from timeline 1", "They part at", gap)
    recovers(made)


def far_ahead(made: Pipeline) -> None:
    """Rows that will be gone, at positions that production will reach again only much later."""
    for _ in range(6):
        made.production.rows("select pg_logical_emit_message(false, '', repeat('x', 1000))")
        made.production.rows("select pg_switch_wal()")
    made.production.execute("insert into t select generate_series(100, 900)")


def apply(made: Pipeline) -> None:
    apply_pending(made.settings, SystemClock())


def recovers(made: Pipeline) -> None:
    """One command, and staging is what production is now, also after what follows."""
    assert call_on(made, "recover").code == 0
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}
    write(made, 3)
    captured(made)
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}
    assert check_contiguity(made.store).passed


def put_back(server: LocalServer, kept: Path) -> None:
    """The server's directory as it was when it was copied."""
    target = server.data_dir.resolve()
    shutil.rmtree(target)
    shutil.copytree(kept, target, symlinks=True)
    target.chmod(0o700)
    server.own(target)


def test_a_production_that_was_put_back_is_told_by_the_end_of_its_log(
    alone: Callable[..., Pipeline], warehouse: Database
) -> None:
    made = alone(warehouse)
    server, kept = made.production.server, made.root / "kept"
    server.stop()
    shutil.copytree(server.data_dir.resolve(), kept, symlinks=True)
    server.start(SETTINGS)
    far_ahead(made)
    captured(made)
    apply(made)
    server.stop()
    put_back(server, kept)
    server.start(SETTINGS)
    stops(made, 34, "Production's log ends at", "bytes before landing's")
    recovers(made)


def test_a_slot_that_lost_its_log_is_told_with_the_gap_and_the_servers_reason(
    alone: Callable[..., Pipeline],
) -> None:
    made = alone(max_slot_wal_keep_size="32MB")
    write(made, 1)
    lose(made, 5)
    stops(made, 34, "is lost (wal_removed)", "cannot be read any more")


def test_a_slot_that_was_idle_too_long_is_told_with_the_servers_reason(
    alone: Callable[..., Pipeline],
) -> None:
    made = alone(idle_replication_slot_timeout="1s")
    give_up_at = time.monotonic() + 30
    while state(made, "wal_status") != "lost":
        assert time.monotonic() < give_up_at
        made.production.execute("checkpoint")
    stops(made, 34, "is lost (idle_timeout)")
