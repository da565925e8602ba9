"""kill -9 at every named point and at any moment: every transaction is landed exactly once.

Oracle: DuckDB reads the files that the manifests name and compares them with production's rows.
One landing goes from crash to crash, as it would in a bad week. 20 kills here; 200 with
`REPLICA_PROFILE=long`. A random moment is replayed with `REPLICA_CRASH_SEED`.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator

import pytest

from analytics_replica.landing import stream
from analytics_replica.landing.points import POINTS
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.killed import (
    KILLED,
    At,
    captures,
    is_killed_after,
    kill_this_process,
    wait_until_free,
)
from analytics_replica_tests.support.long_profile import runs, seeds
from analytics_replica_tests.support.numbered import TABLES, Workload, judge
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import fresh_database

TIMES = runs(short=1, long=8)
"""Each point is the end at its first, second, … time."""

MOMENTS = runs(short=20, long=200) - len(POINTS) * TIMES


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open transactions of a test's size are spilled, as large ones are."""
    monkeypatch.setattr(stream, "OPEN_BYTES", 20_000)


@pytest.fixture(scope="module")
def landed(server: LocalServer) -> Iterator[tuple[Pipeline, Workload]]:
    """One production and one landing for all crashes."""
    root = open_directory()
    with fresh_database(server, "production") as production, fresh_database(server, "w") as other:
        workload = Workload(production)
        workload.prepare()
        made = Pipeline(root, production, other, TABLES, changes={"landing.batch_rows": 20})
        made.prepare()
        made.capture()
        yield made, workload
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("times", range(1, TIMES + 1))
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point_loses_nothing_and_lands_nothing_twice(
    landed: tuple[Pipeline, Workload], point: str, times: int
) -> None:
    pipeline, workload = landed
    workload.write(small=4 + 8 * times, large=times)
    ended = captures(pipeline, At(point, kill_this_process, times))
    assert ended == KILLED, f"the point {point!r} was not reached {times} times"
    workload.write(small=1, large=0)
    wait_until_free(pipeline)
    pipeline.capture()
    judged = judge(pipeline)
    assert judged.exact, judged


@pytest.mark.parametrize("seed", seeds("REPLICA_CRASH_SEED", short=1, long=1))
def test_kills_at_random_moments_lose_nothing_and_land_nothing_twice(
    landed: tuple[Pipeline, Workload], seed: int
) -> None:
    pipeline, workload = landed
    chance = random.Random(seed)
    workload.write(small=30)
    began = time.perf_counter()
    pipeline.capture()
    longest = time.perf_counter() - began
    died = 0
    for moment in range(MOMENTS):
        workload.write(small=20)
        after = chance.uniform(0, longest)
        died += is_killed_after(pipeline, after) == KILLED
        wait_until_free(pipeline)
        if chance.random() < 0.5:  # else the next capture finds the remains of two
            pipeline.capture()
            judged = judge(pipeline)
            assert judged.exact, (f"seed {seed}, kill {moment} after {after:.4f} s", judged)
    pipeline.capture()
    judged = judge(pipeline)
    assert judged.exact, (f"seed {seed}", judged)
    assert died > MOMENTS // 3, "the captures were too fast to be killed"
