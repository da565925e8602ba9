"""A real dbt build on a real server, published: what an analyst finds in the morning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics_replica.domain.clock import FixedClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.postgres.connect import Connection, connect, parts_of
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.serving.editions import Edition, build_edition, ensure_serving_schema
from analytics_replica.serving.grants import apply_grants, prove_analyst
from analytics_replica.serving.publish import publish
from analytics_replica.serving.views import views_of_manifest
from analytics_replica_tests.dbt.project import manifest_of, run_dbt
from analytics_replica_tests.support.servers import Database, fresh_database

pytestmark = pytest.mark.slow

STAGING = Path(__file__).with_name("staging.sql")
MORNING = FixedClock(datetime(2026, 3, 3, 3, 40, tzinfo=UTC))


def build_and_publish(conn: Connection, target: Path) -> Edition:
    """A night: the edition that nobody reads is built with all its tests, then published."""
    edition = build_edition(conn)
    conn.commit()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("REPLICA_EDITION_SCHEMA", edition.value)
        assert run_dbt(target, "build") == []
    publish(
        conn,
        edition,
        views_of_manifest(manifest_of(target)),
        position=Lsn.parse("0/10"),
        actor="test",
        reason="nightly",
        clock=MORNING,
        checks={},
    )
    return edition


@pytest.fixture(scope="module", name="gold")
def published_gold(
    server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Two nights of the same staging tables, so that both editions are built and views turn."""
    target = tmp_path_factory.mktemp("dbt")
    with fresh_database(server, "gold", owner="loader") as database:
        with database.session("loader") as cursor:
            cursor.execute(STAGING.read_text(encoding="utf-8"))
        conn = connect(database.dsn("loader"))
        ensure_serving_schema(conn)
        assert apply_grants(conn).passed
        known = parts_of(database.dsn("loader"))
        with pytest.MonkeyPatch.context() as environment:
            for part in ("host", "port", "user", "dbname"):
                environment.setenv(f"REPLICA_WAREHOUSE_{part.upper()}", known[part])
            environment.setenv("REPLICA_BUSINESS_ZONE", "Europe/Berlin")
            assert build_and_publish(conn, target) is Edition.A
            assert build_and_publish(conn, target) is Edition.B
        assert prove_analyst(conn).passed
        yield database
        conn.close()


def as_analyst(gold: Database, query: str) -> list[tuple[Any, ...]]:
    with gold.session("analyst") as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_accounts_and_crm_records_of_a_person_are_one_customer(gold: Database) -> None:
    assert as_analyst(
        gold,
        """
        select shop_accounts, crm_records, customer_status, is_test_account, marketing_opt_in,
               country_code, birth_year, tier, first_seen_on, orders_placed
        from analytics.dim_customer order by 1 desc, 2 desc, 3
        """,
    ) == [
        (2, 1, "active", False, False, "DE", 1980, "gold", date(2009, 12, 24), 1),
        (1, 0, "test", True, None, None, None, None, date(2026, 2, 1), 1),
        (0, 1, "crm_only", False, None, "FR", None, None, None, 1),
    ]


def test_orders_have_one_spelling_and_their_customer(gold: Database) -> None:
    assert as_analyst(
        gold,
        """
        select order_status, currency, customer_link, is_test_order, captured_amount,
               refunded_amount, placed_on
        from analytics.fct_order order by order_id
        """,
    ) == [
        ("paid", "EUR", "shop", False, Decimal("38.00"), Decimal("19.00"), date(2026, 3, 1)),
        ("shipped", "EUR", "crm", False, Decimal("20.00"), Decimal("0.00"), date(2026, 3, 2)),
        ("paid", "EUR", "shop", True, Decimal("20.00"), Decimal("0.00"), date(2026, 3, 1)),
    ]


def test_revenue_is_on_the_business_day_that_money_moved_without_testers(gold: Database) -> None:
    assert as_analyst(
        gold, "select * from analytics.rpt_daily_revenue order by revenue_on, currency"
    ) == [
        (date(2026, 3, 1), "EUR", 1, Decimal("38.00"), 0, Decimal("0.00"), Decimal("38.00")),
        (date(2026, 3, 2), "EUR", 1, Decimal("20.00"), 1, Decimal("19.00"), Decimal("1.00")),
    ]


def test_lines_and_products_carry_what_reports_group_by(gold: Database) -> None:
    assert as_analyst(
        gold,
        """
        select product_name, category_name, parent_category_name, sum(quantity), sum(net_amount)
        from analytics.fct_order_line join analytics.dim_product using (product_id)
        group by 1, 2, 3
        """,
    ) == [("Spade", "Spades", "Garden", 4, Decimal("78.00"))]


def test_every_view_and_column_explains_itself(gold: Database) -> None:
    silent = gold.rows(
        """
        select c.relname, a.attname
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'analytics'::regnamespace
          and (obj_description(c.oid) is null or col_description(c.oid, a.attnum) is null)
        """
    )
    assert silent == []


def test_all_of_a_build_is_in_its_edition_and_nothing_elsewhere(gold: Database) -> None:
    found = gold.rows(
        "select schemaname, count(*) from pg_tables where schemaname not like 'pg\\_%' "
        "and schemaname <> 'information_schema' group by 1 order by 1"
    )
    assert found == [("gold_a", 8), ("gold_b", 8), ("serving", 2), ("staging", 13)]
