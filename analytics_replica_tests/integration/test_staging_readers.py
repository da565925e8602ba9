"""A reader who reads for long: rows are merged beside it, definitions wait for it, and not forever.

Oracle: every row and every definition of the warehouse as PostgreSQL prints them. Not here: what
readers see (test_staging_crashes.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from analytics_replica.staging import warehouse as settings_of_warehouse
from analytics_replica.staging.warehouse import StatementRefused
from analytics_replica_tests.support.drawings import shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.points import Points, apply_heard
from analytics_replica_tests.support.rich import World, everything, rich_landing, world_of
from analytics_replica_tests.support.servers import Database


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_of_warehouse, "LOCK_TIMEOUT", "50ms")


@pytest.fixture
def world(tmp_path: Path, warehouse: Database) -> World:
    return world_of(rich_landing(tmp_path, warehouse), warehouse)


@contextmanager
def reading(
    warehouse: Database, query: str, user: str = "postgres", application: str = "a long report"
) -> Iterator[Any]:
    """A reader with a snapshot, who has read and is not done."""
    opened = psycopg2.connect(warehouse.dsn(user), application_name=application)
    opened.set_session(isolation_level="repeatable read", readonly=True)
    try:
        with opened.cursor() as cursor:
            cursor.execute(query)
            yield cursor
    finally:
        opened.close()


def test_rows_are_merged_beside_a_reader_who_goes_on_seeing_the_state_he_began_with(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one\n2 | Rome |", LOG: "at | line"})
    landing.apply(warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/110 | update |  1 | Lima | ~
            0/110 | delete |  2 |      |
            0/110 | insert |  3 | Pisa |
            """,
            LOG: "lsn | op | at | line\n0/110 | insert | 2026-01-01 | on",
        },
    )
    landing.stream("0/300", {PEOPLE: "lsn | op | id | city | bio\n0/210 | truncate | | |"})
    states = "select (select array_agg(id order by id) from staging.people), count(*) "
    with reading(warehouse, states + "from staging.log") as reader:
        assert reader.fetchall() == [([1, 2], 0)]
        landing.apply(warehouse, upto=2)
        assert shown(warehouse, "staging.people") == [("1", "Lima", "one"), ("3", "Pisa", None)]
        landing.apply(warehouse)
        assert shown(warehouse, "staging.people") == []
        reader.execute(states + "from staging.log")
        assert reader.fetchall() == [([1, 2], 0)]


@pytest.mark.parametrize(
    ("read", "held"),
    [
        ("select from staging.orders", "staging.orders"),  # gets wider and a new column
        ("select from staging.prices", "staging.prices"),  # is made anew with another type
        ("select from gold_a.totals", "gold_a.totals"),  # a view that must go for it
    ],
)
def test_a_changed_definition_waits_no_longer_than_allowed_and_names_the_reader(
    world: World, read: str, held: str
) -> None:
    with world.warehouse() as warehouse:
        with reading(warehouse, read) as reader:
            pid = reader.connection.info.backend_pid
            with pytest.raises(StatementRefused) as told:
                apply_heard(world.settings(warehouse), Points())
            assert f"{held} by server process {pid} (a long report)" in told.value.what
            assert "longer than 50ms" in told.value.what
            assert "select" not in str(told.value)
            assert everything(warehouse) == world.before
        assert world.heals(warehouse)


def test_since_when_is_told_where_postgresql_tells_it(world: World) -> None:
    with world.warehouse() as warehouse, reading(warehouse, "select from staging.orders", "loader"):
        with pytest.raises(StatementRefused, match=r"\(a long report\) since \d\d:\d\d UTC"):
            apply_heard(world.settings(warehouse), Points())
        assert everything(warehouse) == world.before


def test_readers_of_other_tables_are_not_blamed(world: World) -> None:
    with (
        world.warehouse() as warehouse,
        reading(warehouse, "select from staging.people", application="innocent"),
        reading(warehouse, "select from staging.orders"),
    ):
        with pytest.raises(StatementRefused) as told:
            apply_heard(world.settings(warehouse), Points())
        assert "innocent" not in told.value.what


def test_a_prepared_transaction_that_holds_a_table_is_named_as_one(world: World) -> None:
    with world.warehouse() as warehouse:
        with warehouse.session() as cursor:
            cursor.execute("lock table staging.orders in share mode")
            cursor.execute("prepare transaction 'left by somebody'")
        with pytest.raises(StatementRefused, match=r"staging\.orders by a prepared transaction"):
            apply_heard(world.settings(warehouse), Points())
        warehouse.alone("rollback prepared 'left by somebody'")
        assert everything(warehouse) == world.before
        assert world.heals(warehouse)


def test_a_session_that_keeps_rows_from_being_loaded_is_named(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (LOG,))
    landing.copy("0/100", {LOG: "at | line"})
    landing.apply(warehouse)
    landing.stream("0/200", {LOG: "lsn | op | at | line\n0/110 | insert | 2026-01-01 | on"})
    with warehouse.session() as cursor:
        cursor.execute("lock table staging.log in share mode")
        with pytest.raises(StatementRefused, match=r"loading log: .*\.log by server process"):
            landing.apply(warehouse)
    assert landing.apply(warehouse).batches == 1
