"""A warehouse that fails under an apply: it is told, nothing is changed, the next apply ends.

Oracle: every row and every definition of the warehouse as PostgreSQL prints them. The faults are
real: a server that restarts, a DBA who ends our session, no connection left. Not here: a process
of ours that dies (test_staging_crashes_at_every_point.py), a disk (test_staging_disk_full.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg2
import pytest

from analytics_replica.errors import WarehouseUnreachable
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.points import COMMIT, COMMITTED, Points, apply_heard
from analytics_replica_tests.support.rich import (
    World,
    everything,
    left_over,
    rich_landing,
    world_of,
)
from analytics_replica_tests.support.servers import (
    SETTINGS,
    Database,
    fresh_database,
    running_server,
)

CONNECTIONS = 12

WHERE = (
    "select pg_try_advisory_xact_lock",
    'drop view if exists "gold_a"',
    "load incoming",
    "rows of incoming",
    "-- keys that are gone",
    'alter table "staging"."prices" add primary key',
    "-- the line that makes an apply true",
    COMMIT,
)
"""Points of an apply at which something happens to the server."""


@pytest.fixture(scope="module")
def own_server() -> Iterator[LocalServer]:
    """A server that these tests may restart."""
    with running_server() as started:
        admin = Database(started, "postgres")
        admin.execute("create role loader login; create role somebody login")
        yield started


@pytest.fixture(scope="module")
def world(own_server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fresh_database(own_server, "warehouse", owner="loader") as model:
        yield world_of(rich_landing(tmp_path_factory.mktemp("landing"), model), model)


@pytest.fixture
def warehouse(world: World) -> Iterator[Database]:
    """A warehouse in the state before."""
    with world.warehouse() as copy:
        yield copy


def point(world: World, beginning: str) -> int:
    """The first point whose name begins so."""
    return next(n for n, name in enumerate(world.points) if name.startswith(beginning))


def require_state_and_healing(world: World, warehouse: Database) -> None:
    eventually(lambda: not left_over(warehouse))
    assert everything(warehouse) == world.before
    assert world.heals(warehouse)


def restart(server: LocalServer, mode: str) -> None:
    server.stop(mode)
    server.start(SETTINGS)


def end_applies(warehouse: Database) -> None:
    """As a DBA would: by pg_terminate_backend."""
    ended = warehouse.rows(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
        "where datname = current_database() and application_name = 'analytics-replica apply'"
    )
    assert ended == [(True,)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["immediate", "fast"])
@pytest.mark.parametrize("beginning", WHERE)
def test_a_warehouse_that_restarts_under_an_apply_is_told_and_keeps_its_state(
    world: World, warehouse: Database, beginning: str, mode: str
) -> None:
    happens = Points(point(world, beginning), lambda: restart(warehouse.server, mode))
    with pytest.raises(WarehouseUnreachable) as told:
        apply_heard(world.settings(warehouse), happens)
    assert "connection to the warehouse broke" in told.value.what
    require_state_and_healing(world, warehouse)


@pytest.mark.parametrize("beginning", WHERE)
def test_an_apply_whose_session_the_dba_ends_is_told_and_leaves_the_last_state(
    world: World, warehouse: Database, beginning: str
) -> None:
    happens = Points(point(world, beginning), lambda: end_applies(warehouse))
    with pytest.raises(WarehouseUnreachable) as told:
        apply_heard(world.settings(warehouse), happens)
    assert "connection to the warehouse broke" in told.value.what
    require_state_and_healing(world, warehouse)


def test_a_session_that_ends_after_the_commit_does_not_make_an_apply_fail(
    world: World, warehouse: Database
) -> None:
    happens = Points(point(world, COMMITTED), lambda: end_applies(warehouse))
    assert apply_heard(world.settings(warehouse), happens).batches == 3
    assert everything(warehouse) == world.after


def test_a_connection_that_breaks_during_the_commit_is_not_called_rolled_back(
    world: World, warehouse: Database
) -> None:
    happens = Points(point(world, COMMIT), lambda: end_applies(warehouse))
    with pytest.raises(WarehouseUnreachable) as told:
        apply_heard(world.settings(warehouse), happens)
    assert "during the commit" in told.value.what
    assert "either wholly as it was or wholly as it will be" in told.value.why


@pytest.mark.parametrize(
    "limit",
    ["alter role loader connection limit 0", "alter database {name} connection limit 0"],
)
def test_a_connection_limit_that_is_reached_is_told_as_that(
    world: World, warehouse: Database, limit: str
) -> None:
    warehouse.execute(limit.format(name=warehouse.name))
    try:
        with pytest.raises(WarehouseUnreachable, match="too many connections for") as told:
            apply_heard(world.settings(warehouse), Points())
    finally:
        warehouse.execute("alter role loader connection limit -1")
        warehouse.execute(f"alter database {warehouse.name} connection limit -1")
    assert "connection limit" in told.value.next
    require_state_and_healing(world, warehouse)


@pytest.fixture
def few_connections(own_server: LocalServer) -> Iterator[None]:
    """The server has few connections."""
    own_server.stop("fast")
    own_server.start({**SETTINGS, "max_connections": str(CONNECTIONS)})
    yield
    restart(own_server, "fast")


@pytest.mark.usefixtures("few_connections")
def test_a_server_whose_connections_are_used_up_is_told_as_that(
    world: World, warehouse: Database
) -> None:
    reserved = warehouse.scalar("show superuser_reserved_connections")
    with ExitStack() as others:
        for _ in range(CONNECTIONS - int(reserved)):
            taken = psycopg2.connect(warehouse.server.dsn("postgres", "somebody"))
            others.callback(taken.close)
        with pytest.raises(
            WarehouseUnreachable, match=r"connection slots|too many clients"
        ) as told:
            apply_heard(world.settings(warehouse), Points())
    assert "max_connections" in told.value.next
    require_state_and_healing(world, warehouse)
