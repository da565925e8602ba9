"""Killing capture between any two effects loses nothing and lands nothing twice.

Oracle: DuckDB counts the events through the manifests.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica.landing import stream
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.points import POINTS
from analytics_replica_tests.support.killed import killed_at
from analytics_replica_tests.support.pipeline import Pipeline, streams_large_transactions
from analytics_replica_tests.support.servers import Database

OF_EVERY_BATCH = ("decode", "seal", "file written", "fsync", "rename", "manifest", "confirm")


@pytest.mark.parametrize("point", OF_EVERY_BATCH)
def test_a_kill_during_the_stream_loses_nothing_and_lands_nothing_twice(
    production: Database, pipeline: Callable[..., Pipeline], point: str
) -> None:
    production.execute("create table t (id int primary key)")
    made = pipeline({"public.t": {"id": "keep"}}, **{"landing.batch_rows": 4})
    made.prepare()
    made.capture()
    for number in range(12):
        production.execute("insert into t values (%s)", (number,))
    killed_at(point, lambda reached: made.capture(reached=reached), times=2)
    production.execute("insert into t values (12)")
    made.capture()
    assert made.landed("public.t", "id") == [(number,) for number in range(13)]
    assert check_contiguity(made.store, files=True).passed
    assert not list((made.root / "landing" / "unfinished").iterdir())


def test_every_point_is_tried() -> None:
    assert set(POINTS) == {*OF_EVERY_BATCH, *OF_LARGE_TRANSACTIONS}


OF_LARGE_TRANSACTIONS = ("spill", "stream commit")


@pytest.mark.parametrize("point", OF_LARGE_TRANSACTIONS)
def test_a_kill_within_a_large_transaction_loses_nothing_and_leaves_no_spill(
    production: Database,
    pipeline: Callable[..., Pipeline],
    point: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "OPEN_BYTES", 20_000)
    monkeypatch.setattr(stream, "BUNCH", 500)
    production.execute("create table t (id int primary key)")
    streams_large_transactions(production)
    made = pipeline({"public.t": {"id": "keep"}})
    made.prepare()
    made.capture()
    production.execute("insert into t select generate_series(1, 5000)")
    killed_at(point, lambda reached: made.capture(reached=reached))
    assert list((made.root / "landing" / "unfinished").iterdir())
    made.capture()
    assert made.landed("public.t", "id") == [(number,) for number in range(1, 5001)]
    assert not list((made.root / "landing" / "unfinished").iterdir())


@pytest.mark.parametrize("point", ["file written", "manifest"])
def test_a_kill_during_the_first_copy_leaves_no_copy_of_production(
    production: Database, pipeline: Callable[..., Pipeline], point: str
) -> None:
    production.execute("create table t (id int primary key)")
    production.execute("insert into t select generate_series(1, 100)")
    made = pipeline({"public.t": {"id": "keep"}})
    made.prepare()
    killed_at(point, lambda reached: made.capture(reached=reached))
    assert made.landed("public.t") == []
    made.capture()
    assert len(made.landed("public.t")) == 100
    assert not (made.root / "copy" / "base_backup").exists()
