"""An apply that is killed at any of its statements leaves staging as it was, or as it will be.

Oracle: every row and every definition of the warehouse as PostgreSQL prints them, before the apply
and after one that was left in peace. Not here: a server that fails (test_staging_faults.py).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.points import (
    COMMIT,
    killed_apply,
    started_apply,
)
from analytics_replica_tests.support.rich import (
    World,
    everything,
    left_over,
    rich_landing,
    world_of,
)
from analytics_replica_tests.support.servers import Database

AT_ONCE = 4
"""Applies under way at the same time, each in a database of its own."""


@pytest.fixture
def world(tmp_path: Path, warehouse: Database) -> World:
    return world_of(rich_landing(tmp_path, warehouse), warehouse)


@pytest.fixture
def first_night(tmp_path: Path, warehouse: Database) -> World:
    """Nothing was ever applied: the apply makes the ledger and all tables."""
    return world_of(rich_landing(tmp_path, None), warehouse)


def kill(world: World, warehouse: Database, number: int) -> list[object]:
    """Kills an apply of this warehouse at this point; what is wrong then."""
    state = world.after if world.points.index(COMMIT) < number else world.before
    killed = killed_apply(world.file, warehouse.dsn("loader"), number)
    eventually(lambda: not left_over(warehouse))
    return [
        *(() if killed else ("it was not killed",)),
        *(() if everything(warehouse) == state else ("staging or ledger changed",)),
    ]


def what_is_wrong_after_a_kill(world: World, number: int) -> list[object]:
    """Kills an apply at this point of its own database; judges what is left, and the next apply."""
    with world.warehouse() as warehouse:
        wrong = kill(world, warehouse, number)
        return wrong if world.heals(warehouse) else [*wrong, "the next apply ends elsewhere"]


def what_is_wrong_after_kills(world: World, first: int) -> dict[int, list[object]]:
    """The same for every n-th point in a row in one database, and one apply after them all."""
    with world.warehouse() as warehouse:
        numbers = range(first, len(world.points), AT_ONCE)
        wrong = {number: kill(world, warehouse, number) for number in numbers}
        healed = world.heals(warehouse)
        return {number: found for number, found in wrong.items() if found or not healed}


@pytest.mark.slow
def test_a_kill_at_any_statement_leaves_the_last_state_and_the_next_apply_ends_as_if_there_was_none(
    world: World,
) -> None:
    assert world.before != world.after
    assert len(world.points) >= 50
    kinds = {name.split()[0] for name in world.points}
    assert {"create", "alter", "drop", "load", "rows", "analyze", "commit"} <= kinds
    numbers = range(len(world.points))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        judged = pool.map(lambda n: what_is_wrong_after_a_kill(world, n), numbers)
        wrong = {f"{n}: {world.points[n]}": found for n, found in enumerate(judged) if found}
    assert wrong == {}


@pytest.mark.slow
def test_any_number_of_kills_of_the_very_first_apply_leaves_an_empty_warehouse(
    first_night: World,
) -> None:
    assert list(first_night.before) == ["definitions"]
    assert len(first_night.points) >= 50
    with ThreadPoolExecutor(AT_ONCE) as pool:
        judged = pool.map(lambda n: what_is_wrong_after_kills(first_night, n), range(AT_ONCE))
        assert [found for found in judged if found] == []


def test_a_kill_between_the_commit_and_its_answer_leaves_the_next_state(world: World) -> None:
    with world.warehouse() as warehouse:
        warehouse.execute(_COMMITS_SLOWLY)
        with warehouse.session() as holding:
            holding.execute("select pg_advisory_lock(1)")
            process = started_apply(world.file, warehouse.dsn("loader"))
            eventually(lambda: waiting(warehouse) == ["COMMIT"])
            process.kill()
            process.join()
            holding.execute("select pg_advisory_unlock(1)")
        eventually(lambda: not left_over(warehouse))
        warehouse.execute("drop schema slow cascade")
        assert everything(warehouse) == world.after
        assert world.heals(warehouse)


_COMMITS_SLOWLY = """
create schema slow;
grant usage on schema slow to loader;
create function slow.wait() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(1); return null; end $$;
create constraint trigger slow after update on ops.ledger deferrable initially deferred
    for each row execute function slow.wait()
"""


def test_a_kill_while_a_statement_waits_in_the_server_does_not_keep_the_next_apply_waiting(
    world: World,
) -> None:
    with world.warehouse() as warehouse:
        with warehouse.session() as reading:
            reading.execute("select from staging.orders")
            process = started_apply(world.file, warehouse.dsn("loader"))
            eventually(lambda: bool(waiting(warehouse)))
            process.kill()
            process.join()
            # The reader still reads: the dead apply's statement must end by itself.
            eventually(lambda: not waiting(warehouse))
        assert everything(warehouse) == world.before
        assert world.heals(warehouse)


def waiting(warehouse: Database) -> list[str]:
    """The statements of applies that wait for a lock in the server."""
    return [row[0] for row in warehouse.rows(_WAITING)]


_WAITING = """
select query from pg_stat_activity
where datname = current_database() and application_name = 'analytics-replica apply'
  and wait_event_type = 'Lock'
"""
