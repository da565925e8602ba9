"""After an hour of a shop's traffic, with the chain running in between, staging is production.

Oracle: PostgreSQL prints every row of every table on both sides; masks are applied to production's.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from analytics_replica.demo.shop.fill import fill
from analytics_replica.demo.shop.schema import create_schema, event_months
from analytics_replica.demo.traffic import Traffic
from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.postgres.connect import connect
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

SHOP = yaml.safe_load((Path(__file__).parents[2] / "replica.yaml").read_text(encoding="utf-8"))
NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
AN_HOUR_OF_TRANSACTIONS = 3_600


@pytest.fixture
def shop(production: Database, pipeline: Callable[..., Pipeline]) -> Iterator[Pipeline]:
    """The demo's shop, small, with the demo's policy."""
    with closing(connect(production.dsn())) as opened:
        create_schema(opened, *event_months(NOW))
        fill(opened, seed=11, scale=0.02, now=NOW, progress=lambda *_: None)
        opened.commit()
    rules = {table: body["columns"] for table, body in SHOP["tables"].items()}
    made = pipeline(rules, **{"landing.batch_rows": 500})
    made.prepare()
    yield made
    shutil.rmtree(made.root / "landing", ignore_errors=True)


def chain(shop: Pipeline) -> None:
    shop.capture()
    apply_pending(shop.settings, SystemClock())


@pytest.mark.slow
def test_staging_equals_production_after_every_part_of_an_hour(shop: Pipeline) -> None:
    chain(shop)
    assert differences(shop.production, shop.warehouse, shop.settings) == {}
    parts = 4
    for part in range(parts):
        traffic = Traffic(shop.production.dsn(), seed=part, with_truncate=True)
        done = traffic.run(AN_HOUR_OF_TRANSACTIONS // parts)
        assert done.rolled_back > 0
        chain(shop)
        assert differences(shop.production, shop.warehouse, shop.settings) == {}
    assert check_contiguity(shop.store, files=True).passed


@pytest.mark.slow
def test_staging_equals_production_after_captures_under_constant_traffic(shop: Pipeline) -> None:
    stop = threading.Event()
    traffic = Traffic(shop.production.dsn(), seed=5)
    writer = threading.Thread(
        target=lambda: traffic.run_for(timedelta(minutes=5), rate_per_second=150, stop=stop)
    )
    writer.start()
    try:
        for _ in range(4):
            chain(shop)
    finally:
        stop.set()
        writer.join()
    chain(shop)
    assert differences(shop.production, shop.warehouse, shop.settings) == {}
    assert check_contiguity(shop.store, files=True).passed
