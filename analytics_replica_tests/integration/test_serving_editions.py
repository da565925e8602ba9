"""Editions take turns, on a real server, as the role that owns the database but nothing more.

Also what the other tests of serving begin with: a warehouse, two models, a publication.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from analytics_replica.domain.clock import FixedClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import PublishRefused
from analytics_replica.postgres.connect import Connection, connect
from analytics_replica.serving.editions import (
    Edition,
    build_edition,
    ensure_serving_schema,
    published_edition,
)
from analytics_replica.serving.grants import apply_grants
from analytics_replica.serving.history import Publication
from analytics_replica.serving.publish import publish
from analytics_replica.serving.views import ViewSpec
from analytics_replica_tests.support.servers import Database

MONDAY = FixedClock(datetime(2026, 11, 16, 3, 40, tzinfo=UTC))

PEOPLE = ViewSpec(
    "people",
    ("person_id", "city"),
    description="One row per person.",
    column_descriptions={"city": "Where they live."},
)
ORDERS = ViewSpec("orders", ("order_id", "night"))


@pytest.fixture(name="loader")
def loader_connection(warehouse: Database) -> Iterator[Connection]:
    """The connection of the role loader to a warehouse that is ready for publications."""
    conn = connect(warehouse.dsn("loader"))
    ensure_serving_schema(conn)
    apply_grants(conn)
    yield conn
    conn.close()


def build(conn: Connection, night: str) -> Edition:
    """Builds both models anew into the edition that nobody reads, as dbt does."""
    edition = build_edition(conn)
    with conn.cursor() as cursor:
        cursor.execute(
            f"""
            drop table if exists {edition}.people, {edition}.orders cascade;
            create table {edition}.people as
                select n as person_id, '{night}'::text as city from generate_series(1, 3) n;
            create table {edition}.orders as
                select n as order_id, '{night}'::text as night from generate_series(1, 5) n;
            """
        )
    conn.commit()
    return edition


def give(conn: Connection, edition: Edition, *views: ViewSpec, **options: Any) -> Publication:
    """Publishes with what these tests do not look at."""
    arguments: dict[str, Any] = {
        "position": Lsn.parse("0/10"),
        "actor": "test",
        "reason": "nightly",
        "clock": MONDAY,
        "checks": {"passed": 2},
        **options,
    }
    return publish(conn, edition, views or (PEOPLE, ORDERS), **arguments)


def night_of(warehouse: Database, user: str = "analyst") -> set[tuple[str, str]]:
    """Every pair of nights that one statement over both views finds."""
    with warehouse.session(user) as cursor:
        cursor.execute("select distinct city, night from analytics.people, analytics.orders")
        return set(cursor.fetchall())


def contract(warehouse: Database) -> list[tuple[Any, ...]]:
    """Oid, grants, definition and comments of the views, and the record: all that may matter."""
    return warehouse.rows(
        """
        select c.oid, c.relname, c.relacl::text, pg_get_viewdef(c.oid), obj_description(c.oid),
               array(select col_description(c.oid, n) from generate_series(1, 5) n)
        from pg_class c where c.relnamespace = 'analytics'::regnamespace order by 2
        """
    ) + warehouse.rows("select * from serving.history, serving.edition_state order by 1")


def test_editions_take_turns_and_the_old_one_is_readable_while_the_next_is_built(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    tuesday = build(loader, "tuesday")
    assert tuesday is Edition.B
    assert night_of(warehouse) == {("monday", "monday")}
    give(loader, tuesday)
    assert night_of(warehouse) == {("tuesday", "tuesday")}
    assert build_edition(loader) is Edition.A


def test_preparing_serving_twice_changes_nothing(warehouse: Database, loader: Connection) -> None:
    give(loader, build(loader, "monday"))
    before = contract(warehouse)
    ensure_serving_schema(loader)
    apply_grants(loader)
    assert contract(warehouse) == before


def test_before_anything_is_published_the_first_edition_is_built(
    warehouse: Database, loader: Connection
) -> None:
    assert published_edition(loader) is None
    assert build_edition(loader) is Edition.A
    loader.commit()
    warehouse.execute("drop schema serving cascade")
    assert published_edition(loader) is None


def test_an_edition_that_a_view_reads_is_never_offered_for_building(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    give(loader, build(loader, "tuesday"))
    with warehouse.session("loader") as cursor:
        cursor.execute("create or replace view analytics.people as select * from gold_a.people")
    with pytest.raises(PublishRefused, match="people in schema analytics reads gold_a"):
        build_edition(loader)
    give(loader, Edition.B)  # turns it back
    assert night_of(warehouse) == {("tuesday", "tuesday")}
    assert build_edition(loader) is Edition.A
