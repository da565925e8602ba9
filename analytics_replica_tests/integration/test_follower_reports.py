"""What a follower lands is told to Dagster, and Dagster's trouble does not stop it.

Oracle: Dagster's own event log; DuckDB's count of the landed events.
"""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest

from analytics_replica.domain.tables import TableName
from analytics_replica.landing.manifest import manifests
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.follower import reporting
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def made(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """Two tables; the second batch has changes of one of them."""
    for table in ("busy", "calm"):
        production.execute(f"create table {table} (id int primary key)")
    one = pipeline({"public.busy": {"id": "keep"}, "public.calm": {"id": "keep"}})
    one.prepare()
    one.capture()
    production.execute("insert into busy select generate_series(1, 7)")
    one.capture()
    return one


def test_every_batch_makes_every_table_as_fresh_as_it_is(made: Pipeline) -> None:
    settings = made.settings
    *_, newest = manifests(made.store)
    with dg.DagsterInstance.ephemeral() as instance:
        reporting(settings, instance)(newest)
        for table, rows in (("busy", 7), ("calm", 0)):
            key = keys.raw(settings, TableName("public", table))
            event = instance.get_latest_materialization_event(key)
            assert event is not None
            assert event.asset_materialization is not None
            told = event.asset_materialization.metadata
            assert told["rows"].value == rows == len(made.landed(f"public.{table}"))
            assert told["position"].value == str(newest.position)


def test_a_dagster_that_cannot_be_told_does_not_stop_the_capture(
    made: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    *_, newest = manifests(made.store)
    with dg.DagsterInstance.ephemeral() as instance:
        tell = reporting(made.settings, instance)
    instance.event_log_storage.dispose()
    tell(newest)
    assert "Dagster was not told of batch" in caplog.text


def test_a_follower_that_shall_tell_dagster_needs_its_home(made: Pipeline) -> None:
    ended = call_on(made, "capture", "--follow", "--tell-dagster")
    assert ended.code == 20
    assert "DAGSTER_HOME" in ended.err
