"""The shop's traffic: every kind of transaction, the same for the same seed, never inconsistent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from analytics_replica.demo import traffic
from analytics_replica.demo.shop.catalogue import redescribe_product, reprice_product
from analytics_replica.demo.traffic import MIX_WITH_TRUNCATE, Traffic
from analytics_replica.domain.clock import FixedClock
from analytics_replica.errors import WarehouseUnreachable
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.integration.test_demo_shop import NOW, content, filled
from analytics_replica_tests.support.servers import Database, fresh_database

CLOCK = FixedClock(datetime(2026, 11, 21, 7, 0, tzinfo=UTC))


@pytest.fixture
def shop(server: LocalServer) -> Iterator[Database]:
    with fresh_database(server, "shop") as database:
        yield filled(database)


def test_the_same_seed_on_the_same_shop_does_the_same(server: LocalServer, shop: Database) -> None:
    with fresh_database(server, "shop") as twin:
        first = Traffic(shop.dsn(), 5, clock=CLOCK).run(300)
        second = Traffic(filled(twin).dsn(), 5, clock=CLOCK).run(300)
        assert first.by_name == second.by_name
        assert content(shop) == content(twin)


def test_a_second_run_with_the_same_seed_goes_on_with_other_rows(shop: Database) -> None:
    orders = "select count(*) from shop.orders"
    before = shop.scalar(orders)
    first = Traffic(shop.dsn(), 5, clock=CLOCK).run(200)
    between = shop.scalar(orders)
    second = Traffic(shop.dsn(), 5, clock=CLOCK).run(200)
    assert before < between < shop.scalar(orders)
    assert first.conflicts == second.conflicts == 0
    assert first.by_name != second.by_name


def test_every_kind_of_transaction_happens_and_some_are_given_up(shop: Database) -> None:
    report = Traffic(shop.dsn(), 3, with_truncate=True, clock=CLOCK).run(2_000)
    assert set(report.by_name) == {kind.__name__ for kind in MIX_WITH_TRUNCATE}
    assert report.transactions == 2_000
    assert report.rolled_back > 10
    assert report.savepoints_rolled_back > 10
    assert report.conflicts == 0


def test_money_still_adds_up_after_much_traffic(shop: Database) -> None:
    Traffic(shop.dsn(), 4, with_truncate=True, clock=CLOCK).run(1_000)
    assert not shop.rows(
        """
        select o.id from shop.orders as o
        left join shop.order_lines as l on l.order_id = o.id
        group by o.id
        having o.total is distinct from round(sum(l.quantity * l.unit_price * (1 - l.discount)), 2)
        """
    )
    assert not shop.rows(
        """
        select p.id from shop.payments as p join shop.refunds as r on r.payment_id = p.id
        group by p.id having sum(r.amount) > p.amount
        """
    )
    assert not shop.rows("select from shop.order_lines where line_no > 100")


def test_a_rolled_back_transaction_leaves_nothing(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "ROLLED_BACK_IN_ALL", 1)  # every one
    before = content(shop)
    report = Traffic(shop.dsn(), 6, clock=CLOCK).run(100)
    assert (report.committed, report.rolled_back) == (0, 100)
    assert content(shop) == before


def test_a_price_change_leaves_the_description_where_it_is(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    toast = shop.scalar(
        "select reltoastrelid::regclass from pg_class where oid = 'shop.products'::regclass"
    )
    chunks = f"select count(distinct chunk_id) from {toast}"
    prices = "select sum(price) from shop.products"
    before = (shop.scalar(chunks), shop.scalar(prices))
    monkeypatch.setattr(traffic, "MIX", {reprice_product: 1})
    Traffic(shop.dsn(), 8, clock=CLOCK).run(20)
    after = (shop.scalar(chunks), shop.scalar(prices))
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_new_description_is_a_new_value_out_of_line(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = "select count(distinct description) from shop.products"
    changed = "select count(*) from shop.products where updated_at = %s"
    monkeypatch.setattr(traffic, "MIX", {redescribe_product: 1})
    Traffic(shop.dsn(), 8, clock=CLOCK).run(20)
    assert shop.scalar(texts) == shop.scalar("select count(*) from shop.products")
    assert shop.scalar(changed, (CLOCK.now(),)) > 5
    assert shop.scalar("select min(length(description)) from shop.products") > 5_900


def test_a_steady_rate_is_kept_and_a_stop_is_obeyed_at_once(shop: Database) -> None:
    report = Traffic(shop.dsn(), 7).run_for(timedelta(seconds=1), rate_per_second=40)
    assert 35 <= report.transactions <= 40
    assert 0.9 < report.took.total_seconds() < 3
    stop = threading.Event()
    threading.Timer(0.4, stop.set).start()
    began = time.monotonic()
    Traffic(shop.dsn(), 7).run_for(None, rate_per_second=0.5, stop=stop)
    assert time.monotonic() - began < 1.9


def test_progress_tells_how_many_are_done(shop: Database) -> None:
    heard: list[int] = []
    Traffic(shop.dsn(), 9, clock=CLOCK).run(250, heard.append)
    assert heard == [100, 200, 250]


def test_a_server_that_does_not_answer_is_an_error_for_people(server: LocalServer) -> None:
    with pytest.raises(WarehouseUnreachable):
        Traffic(server.dsn("no_such_database"), 1).run(1)


def test_new_orders_come_after_the_history(shop: Database) -> None:
    Traffic(shop.dsn(), 10, clock=CLOCK).run(50)
    assert shop.scalar("select max(placed_at) from shop.orders") == CLOCK.now() > NOW


def test_when_a_run_ends_all_of_it_is_in_the_log_on_disk(shop: Database) -> None:
    behind = "select pg_current_wal_insert_lsn() - pg_current_wal_flush_lsn()"
    for seed in range(5):
        Traffic(shop.dsn(), seed, clock=CLOCK).run(20)
        assert shop.scalar(behind) < 1_000  # at most what a background process wrote since
