"""`analytics.data_as_of` is always that of the edition that is read: whole, pinned, rolled back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import PublishRefused
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.as_of import (
    NAME,
    VIEW,
    published_marks,
    rows_of,
    staging_of,
    write_as_of,
)
from analytics_replica.serving.editions import Edition
from analytics_replica.serving.grants import prove_analyst
from analytics_replica.serving.publish import rollback
from analytics_replica.staging.freshness import Freshness, Mark, Standing
from analytics_replica_tests.integration.test_serving_editions import (
    MONDAY,
    ORDERS,
    PEOPLE,
    build,
    give,
    loader_connection,
)
from analytics_replica_tests.support.servers import Database

loader = loader_connection

COMMITTED = datetime(2026, 11, 16, 3, 12, tzinfo=UTC)
AWKWARD = 'pe"ople é'


def fresh(
    position: str, standing: Standing = Standing.CURRENT, reason: str = "", day: int = 16
) -> Freshness:
    """A table that is applied to this position."""
    at = COMMITTED.replace(day=day)
    mark = Mark(Lsn.parse(position), at, at)
    table = TableName("shop", "t")
    return Freshness(table, standing, reason, mark, mark, mark, MONDAY.now(), None)


def given(conn: Connection, night: str, **tables: Freshness) -> Edition:
    """Builds, tells how fresh staging is, and publishes, as a night does."""
    edition = build(conn, night)
    conn.commit()
    conn.autocommit = True
    rows = rows_of({AWKWARD: fresh("0/10"), **tables}, {"people": [AWKWARD], "orders": [*tables]})
    write_as_of(conn, edition, rows)
    conn.autocommit = False
    give(conn, edition, PEOPLE, ORDERS, VIEW)
    return edition


def read(warehouse: Database, columns: str = "layer, name, position::text, state, reason") -> Any:
    """What an analyst reads."""
    with warehouse.session("analyst") as cursor:
        cursor.execute(f"select {columns} from analytics.data_as_of order by layer, name")
        return cursor.fetchall()


def test_analysts_read_one_row_for_each_staging_table_and_each_gold_model(
    warehouse: Database, loader: Connection
) -> None:
    why = "no changes since monday"
    given(loader, "monday", orders=fresh("0/20", Standing.NO_CHANGES, why))
    assert read(warehouse) == [
        ("gold", "orders", "0/20", "no changes", "no changes of what it is made of"),
        ("gold", "people", "0/10", "current", ""),
        ("staging", "orders", "0/20", "no changes", why),
        ("staging", AWKWARD, "0/10", "current", ""),
    ]
    assert read(warehouse, "distinct data_as_of, applied_at, layer, name")[0][:2] == (
        COMMITTED,
        MONDAY.now(),
    )
    assert prove_analyst(loader).passed
    with warehouse.session("analyst") as cursor, pytest.raises(Exception, match="permission"):
        cursor.execute(f"select * from gold_a.{NAME}")


def test_readers_see_the_published_edition_and_a_rollback_gives_the_older_figures_back(
    warehouse: Database, loader: Connection
) -> None:
    given(loader, "monday", orders=fresh("0/20"))
    monday = read(warehouse)
    oid = warehouse.scalar("select 'analytics.data_as_of'::regclass::oid")
    edition = build(loader, "tuesday")
    loader.commit()
    loader.autocommit = True
    write_as_of(loader, edition, rows_of({"orders": fresh("0/30")}, {"orders": ["orders"]}))
    loader.autocommit = False
    assert read(warehouse) == monday  # built is not published
    give(loader, edition, PEOPLE, ORDERS, VIEW)
    assert {row[2] for row in read(warehouse)} == {"0/30"}
    assert published_marks(loader)["orders"].position == Lsn(0x30)
    rollback(loader, actor="test", reason="it was wrong", clock=MONDAY)
    assert read(warehouse) == monday
    assert warehouse.scalar("select 'analytics.data_as_of'::regclass::oid") == oid


def test_a_reader_with_an_old_snapshot_never_finds_it_empty(
    warehouse: Database, loader: Connection
) -> None:
    given(loader, "monday", orders=fresh("0/20"))
    with warehouse.session("analyst") as cursor:
        cursor.execute("begin isolation level repeatable read")
        cursor.execute("select count(*) from analytics.data_as_of")
        assert cursor.fetchone() == (4,)
        cursor.execute("commit")
        given(loader, "tuesday", orders=fresh("0/30"))
        cursor.execute("select count(*), min(position)::text from analytics.data_as_of")
        assert cursor.fetchone() == (4, "0/10")


def test_the_comments_say_whose_clock_it_is(warehouse: Database, loader: Connection) -> None:
    given(loader, "monday", orders=fresh("0/20"))
    said = dict(
        warehouse.rows(
            "select attname, col_description(attrelid, attnum) from pg_attribute "
            "where attrelid = 'analytics.data_as_of'::regclass and attnum > 0"
        )
    )
    assert "production's clock" in said["data_as_of"]
    assert "clock of the apply" in said["applied_at"]
    types = warehouse.rows(
        "select attname, atttypid::regtype::text from pg_attribute "
        "where attrelid = 'analytics.data_as_of'::regclass and attname in "
        "('data_as_of', 'applied_at', 'position') order by 1"
    )
    assert [kind for _, kind in types] == [
        "timestamp with time zone",
        "timestamp with time zone",
        "pg_lsn",
    ]


def test_gold_is_as_old_as_the_oldest_table_it_is_made_of_and_stuck_if_one_is() -> None:
    made_of = {
        "a": fresh("0/20", day=17),
        "b": fresh("0/10", Standing.STUCK, "it narrowed", day=15),
        "c": fresh("0/20", Standing.NO_CHANGES, "none", day=17),
    }
    rows = {r.name: r for r in rows_of(made_of, {"ab": ["a", "b"], "ac": ["a", "c"], "none": []})}
    assert rows["ab"].position == Lsn(0x10)
    assert rows["ab"].data_as_of == COMMITTED.replace(day=15)
    assert (rows["ab"].state, rows["ab"].reason) == (
        Standing.STUCK,
        "made of what is stuck: b",
    )
    assert (rows["ac"].state, rows["ac"].position) == (Standing.CURRENT, Lsn(0x20))
    assert (rows["none"].state, rows["none"].data_as_of) == (Standing.CURRENT, None)


def test_a_model_of_that_name_is_refused() -> None:
    with pytest.raises(PublishRefused, match="data_as_of has the name of the view"):
        rows_of({}, {NAME: []})


def test_what_a_model_is_made_of_is_found_through_other_models() -> None:
    manifest = {
        "nodes": {
            "model.p.base": {
                "resource_type": "model",
                "alias": "base",
                "depends_on": {"nodes": ["source.p.s.people"]},
            },
            "model.p.gold": {
                "resource_type": "model",
                "alias": "people",
                "depends_on": {"nodes": ["model.p.base", "seed.p.x"]},
            },
        },
        "sources": {"source.p.s.people": {"identifier": AWKWARD}},
    }
    assert staging_of(manifest, [PEOPLE]) == {"people": [AWKWARD]}
