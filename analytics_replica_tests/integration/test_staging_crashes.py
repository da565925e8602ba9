"""An apply that dies, or that is not alone, leaves what was there.

Not here: what an apply does when it is left in peace (test_staging_last_states.py).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.errors import AlreadyRunning, WarehouseUnreachable
from analytics_replica.landing.layout import Store
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.warehouse import transaction
from analytics_replica.staging.workbench import workbench
from analytics_replica_tests.support.drawings import Drawn, shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database

DIES_AFTER = """
import os, signal, sys
from pathlib import Path
from analytics_replica.domain.clock import SystemClock
from analytics_replica.settings.load import load_settings
from analytics_replica.landing.layout import Store
from analytics_replica.staging.apply import apply_pending

def progress(step, done, total):
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

settings = load_settings(Path(sys.argv[1]), {"WAREHOUSE": sys.argv[2]})
apply_pending(settings, SystemClock(), progress=progress)
"""


@pytest.mark.parametrize("tables_done", [1, 2])
def test_a_process_that_is_killed_inside_the_transaction_leaves_the_last_state(
    tables_done: int, tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    landing.apply(warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: "lsn | op | id | city | bio\n0/110 | update | 1 | Lima | ~",
            LOG: "lsn | op | at | line\n0/110 | insert | 2026-01-01 | on",
        },
    )
    landing.settings(warehouse)
    file, dsn = tmp_path / "replica.yaml", warehouse.dsn("loader")
    died = subprocess.run(
        [sys.executable, "-c", DIES_AFTER, str(file), dsn, str(tables_done)], check=False
    )
    assert died.returncode == -signal.SIGKILL
    _wait_until_the_server_noticed(warehouse)
    assert shown(warehouse, "staging.people") == [("1", "Oslo", "one")]
    assert shown(warehouse, "staging.log") == []
    assert warehouse.scalar("select last_batch from ops.ledger") == 1
    report = landing.apply(warehouse)
    assert report.batches == 1
    assert shown(warehouse, "staging.people") == [("1", "Lima", "one")]
    assert shown(warehouse, "staging.log") == [("2026-01-01", "on")]


def _wait_until_the_server_noticed(warehouse: Database) -> None:
    sessions = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and application_name = 'analytics-replica apply'"
    )
    while warehouse.scalar(sessions):
        time.sleep(0.02)


def test_a_second_apply_says_who_holds_the_first(tmp_path: Path, warehouse: Database) -> None:
    landing = Landing(tmp_path, (PEOPLE,))
    with transaction(warehouse.dsn("loader")) as within:
        within.lock()
        holder = within.scalar("select pg_backend_pid()")
        with pytest.raises(AlreadyRunning, match=f"server process {holder}"):
            landing.apply(warehouse)


def test_readers_see_all_tables_before_or_all_tables_after(
    tmp_path: Path, warehouse: Database
) -> None:
    tables = [Drawn(f"shop.t{n}", {"id": "integer key", "n": "integer"}) for n in range(3)]
    landing = Landing(tmp_path, tuple(tables))
    landing.copy("0/100", dict.fromkeys(tables, "id | n\n1 | 0"))
    landing.apply(warehouse)
    landing.stream("0/200", dict.fromkeys(tables, "lsn | op | id | n\n0/110 | update | 1 | 1"))
    seen = []

    def look(step: str, done: int, total: int | None) -> None:
        del step, done, total
        query = "select a.n, b.n, c.n from staging.t0 a, staging.t1 b, staging.t2 c"
        seen.extend(warehouse.rows(query))

    apply_pending(landing.settings(warehouse), SystemClock(), progress=look)
    assert seen == [(0, 0, 0)] * 4
    look("after", 0, None)
    assert seen[-1] == (1, 1, 1)


def test_an_error_names_the_server_or_the_code_and_never_a_value(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE,))
    three_people(landing, warehouse)
    warehouse.execute("alter table staging.people add check (city <> 'Secretville')")
    landing.stream(
        "0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | update | 1 | Secretville | x"}
    )
    reason = landing.apply(warehouse).quarantined[PEOPLE.table]
    assert "SQLSTATE 23514" in reason
    assert "Secretville" not in reason


def test_a_warehouse_that_is_down_is_named_without_its_password(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE,))
    settings = landing.settings(warehouse)
    nowhere = "postgresql://loader:hidden@127.0.0.1:1/nowhere"
    lost = type(settings.secrets)({"WAREHOUSE": nowhere})
    gone = type(settings)(settings.file, settings.replica, settings.tables, {}, lost)
    with pytest.raises(WarehouseUnreachable) as refused:
        apply_pending(gone, SystemClock())
    assert "127.0.0.1:1/nowhere as loader" in str(refused.value)
    assert "hidden" not in str(refused.value)


SPILLS = """
import sys, time
from pathlib import Path
from analytics_replica.landing.layout import Store
from analytics_replica.staging.workbench import workbench

with workbench(Store(sys.argv[1]), spill_directory=Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_of_its_spill_goes_and_a_living_ones_stays(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", SPILLS, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        assert [p.stdout.readline() for p in processes if p.stdout] == ["open\n"] * 2
        assert len(list(tmp_path.iterdir())) == 2
        processes[0].kill()
        processes[0].wait()
        with workbench(Store(str(tmp_path)), spill_directory=tmp_path):
            assert len(list(tmp_path.iterdir())) == 2
        assert len(list(tmp_path.iterdir())) == 1
    finally:
        for process in processes:
            process.kill()
            process.communicate()
