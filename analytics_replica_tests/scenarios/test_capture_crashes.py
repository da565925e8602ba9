"""Killing capture between any two effects loses nothing and lands nothing twice.


Oracle: DuckDB counts the events through the manifests.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest

from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

POINTS = ("before files", "before manifest", "before confirm")


def _die_at(pipeline: Pipeline, point: str, times: int) -> None:
    seen = 0

    def reached(name: str) -> None:
        nonlocal seen
        seen += name == point
        if seen == times:
            os.kill(os.getpid(), signal.SIGKILL)

    pipeline.capture(reached=reached)


def killed_at(pipeline: Pipeline, point: str, times: int = 1) -> None:
    """Runs a capture in a process of its own, which is killed when it reaches the point."""
    process = multiprocessing.get_context("fork").Process(
        target=_die_at, args=(pipeline, point, times)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_during_the_stream_loses_nothing_and_lands_nothing_twice(
    production: Database, pipeline: Callable[..., Pipeline], point: str
) -> None:
    production.execute("create table t (id int primary key)")
    made = pipeline({"public.t": {"id": "keep"}}, **{"landing.batch_rows": 4})
    made.prepare()
    made.capture()
    for number in range(12):
        production.execute("insert into t values (%s)", (number,))
    killed_at(made, point, times=2)
    production.execute("insert into t values (12)")
    made.capture()
    assert made.landed("public.t", "id") == [(number,) for number in range(13)]
    assert check_contiguity(made.store, files=True).passed
    assert not list((made.root / "landing" / "unfinished").iterdir())


@pytest.mark.parametrize("point", ["file written", "manifest"])
def test_a_kill_during_the_first_copy_leaves_no_copy_of_production(
    production: Database, pipeline: Callable[..., Pipeline], point: str
) -> None:
    production.execute("create table t (id int primary key)")
    production.execute("insert into t select generate_series(1, 100)")
    made = pipeline({"public.t": {"id": "keep"}})
    made.prepare()
    killed_at(made, point)
    assert made.landed("public.t") == []
    made.capture()
    assert len(made.landed("public.t")) == 100
    assert not (made.root / "copy" / "base_backup").exists()
