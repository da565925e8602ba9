"""A rebuild that is not alone, or that dies, leaves staging as it was or as it should be.

Not here: what a rebuild does when it is left in peace (test_rebuild.py).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.killed import KILLED
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.rebuilding import BESIDE, go_on, pictures, rebuilt, stood
from analytics_replica_tests.support.servers import Database

DIES_AT = """
import os, signal, sys
from pathlib import Path
from analytics_replica.domain.clock import SystemClock
from analytics_replica.settings.load import load_settings
from analytics_replica.staging.rebuild import rebuild

seen = 0

def reached(point):
    global seen
    seen += point == sys.argv[3]
    if point == sys.argv[3] and seen == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

settings = load_settings(Path(sys.argv[1]), {"WAREHOUSE": sys.argv[2]})
rebuild(settings, SystemClock(), reached=reached)
"""

APPLIES = """
import sys
from pathlib import Path
from analytics_replica.domain.clock import SystemClock
from analytics_replica.settings.load import load_settings
from analytics_replica.staging.apply import apply_pending

apply_pending(load_settings(Path(sys.argv[1]), {"WAREHOUSE": sys.argv[2]}), SystemClock())
"""


@pytest.fixture
def landing(tmp_path: Path, warehouse: Database) -> Landing:
    return stood(tmp_path, warehouse)


def run(script: str, landing: Landing, warehouse: Database, *more: str) -> int:
    landing.settings(warehouse)
    file, dsn = landing.root / "replica.yaml", warehouse.dsn("loader")
    command = [sys.executable, "-c", script, str(file), dsn, *more]
    return subprocess.run(command, check=False).returncode


def test_an_apply_in_another_process_goes_on_while_staging_is_rebuilt(
    landing: Landing, warehouse: Database
) -> None:
    """After every table that was built, and before and after every comparison."""
    ended = []

    def apply_more(point: str) -> None:
        if point in {"table built", "compared"}:
            go_on(landing)
            ended.append(run(APPLIES, landing, warehouse))

    warehouse.execute("update staging.people set city = 'wrong' where id = 2")
    report = rebuild(landing.settings(warehouse), SystemClock(), reached=apply_more)
    assert ended == [0] * 4
    assert report.position == landing.position
    assert [key for key, _ in report.differences[PEOPLE.table].keys] == [("2",)]
    assert report.differences[LOG.table].equal
    assert warehouse.scalar("select city from staging.people where id = 2") == "Bergen"
    assert warehouse.scalar("select count(*) from staging.people") == 7
    go_on(landing)
    assert landing.apply(warehouse).batches == 1
    assert rebuilt(landing, warehouse, BESIDE).equal


@pytest.mark.parametrize(
    ("point", "times"),
    [("table built", 1), ("table built", 2), ("compared", 1), ("before swap", 1), ("swapped", 1)],
)
def test_a_killed_rebuild_leaves_staging_as_it_was_and_the_next_one_cleans_up(
    point: str, times: int, landing: Landing, warehouse: Database
) -> None:
    before = pictures(warehouse)
    assert run(DIES_AT, landing, warehouse, point, str(times)) == KILLED
    locks = "select count(*) from pg_locks where locktype = 'advisory'"
    eventually(lambda: warehouse.scalar(locks) == 0)
    assert pictures(warehouse) == before
    go_on(landing)
    assert landing.apply(warehouse).batches == 1
    report = rebuilt(landing, warehouse)
    assert all(difference.equal for difference in report.differences.values())
    left = "select count(*) from pg_namespace where nspname ~ 'rebuilt|replaced'"
    assert warehouse.scalar(left) == 0
