"""`staging apply` and `staging rebuild`, as a person or a machine calls them.

Not here: what they do to rows (test_rebuild.py, properties/test_positions_history.py).
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from analytics_replica.cli.status import State, _warehouse
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import SettingsInvalid
from analytics_replica.postgres.connect import connection
from analytics_replica.postgres.identifiers import compose
from analytics_replica.settings.load import load_settings
from analytics_replica.staging.reconcile import ledger_at_landing
from analytics_replica.staging.warehouse import transaction
from analytics_replica.staging.workbench import workbench_of
from analytics_replica_tests.support.commands import Ended, call
from analytics_replica_tests.support.drawings import shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.servers import Database

CHANGES = {
    PEOPLE: """
    lsn   | op     | id | city | bio
    0/110 | update | 1  | Rome | ~
    0/150 | insert | 2  | Bari |
    """,
    LOG: "lsn | op | at | line\n0/120 | insert | | x\n0/160 | insert | | y",
}


@pytest.fixture
def landing(tmp_path: Path, warehouse: Database) -> Landing:
    """A copy, applied, and a batch with two transactions, which is not."""
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    landing.apply(warehouse)
    landing.stream("0/200", CHANGES)
    return landing


def command(landing: Landing, warehouse: Database, *arguments: str) -> Ended:
    file = landing.settings(warehouse).file
    environ = {"WAREHOUSE": warehouse.dsn("loader")}
    return call("--config", str(file), "staging", *arguments, environ=environ)


def troubles(landing: Landing, warehouse: Database) -> list[str]:
    state = State("", "")
    _warehouse(landing.settings(warehouse), state, SystemClock())
    return state.troubles


def judged(landing: Landing, warehouse: Database) -> Outcome:
    with connection(warehouse.dsn("loader")) as opened:
        return ledger_at_landing(opened, landing.store).outcome


def test_an_apply_stops_where_it_is_told_and_the_next_one_goes_on(
    landing: Landing, warehouse: Database
) -> None:
    # The drawn transactions were committed at midnight and as many seconds as their LSN.
    by_time = command(landing, warehouse, "apply", "--upto", "2026-01-01T00:04:48", "--json")
    assert "2026-01-01T00:04:48+00:00 (deadlines.zone)" in by_time.err
    assert (by_time.code, by_time.json["position"]) == (0, "0/150")
    assert shown(warehouse, "staging.people") == [("1", "Rome", "one")]
    assert judged(landing, warehouse) is Outcome.FAIL
    back = command(landing, warehouse, "apply", "--upto", "0/115")
    assert back.code == 60
    assert "stands at 0/150 already" in back.err
    assert command(landing, warehouse, "apply", "--upto", "0/161", "--json").json["batches"] == 1
    assert command(landing, warehouse, "apply").code == 0
    assert shown(warehouse, "staging.log") == [(None, "x"), (None, "y")]
    assert judged(landing, warehouse) is Outcome.PASS


def test_staging_of_several_instants_is_shown_never_ready_and_healed_by_the_next_apply(
    landing: Landing, warehouse: Database
) -> None:
    alone = command(landing, warehouse, "apply", "--table", "shop.log", "--json")
    assert alone.json["several_instants"] == {"shop.log": "0/200"}
    assert (alone.json["staging_position"], alone.json["position"]) == ("0/100", "0/200")
    assert "of several instants: shop.log at 0/200" in troubles(landing, warehouse)[0]
    assert judged(landing, warehouse) is Outcome.FAIL
    refused = command(landing, warehouse, "rebuild")
    assert refused.code == 60
    assert "of several instants" in refused.err
    assert command(landing, warehouse, "apply", "--json").json["several_instants"] == {}
    assert troubles(landing, warehouse) == []
    assert judged(landing, warehouse) is Outcome.PASS
    assert shown(warehouse, "staging.log") == [(None, "x"), (None, "y")]


def test_an_apply_waits_as_long_as_it_may_and_then_says_who_holds_the_lock(
    landing: Landing, warehouse: Database
) -> None:
    with transaction(warehouse.dsn("loader")) as within:
        within.lock()
        holder = within.scalar("select pg_backend_pid()")
        short = command(landing, warehouse, "apply", "--wait", "0.3")
    assert short.code == 70
    assert f"server process {holder}" in short.err
    with transaction(warehouse.dsn("loader")) as within:
        within.lock()
        ended: list[Ended] = []
        asked = "apply", "--wait", "60", "--json"
        waiting = threading.Thread(target=lambda: ended.append(command(landing, warehouse, *asked)))
        waiting.start()
        asks = (
            "select count(*) from pg_stat_activity "
            "where application_name = 'analytics-replica apply'"
        )
        eventually(lambda: warehouse.scalar(asks) == 2)
    waiting.join(60)
    assert [e.code for e in ended] == [0]


def test_a_rebuild_names_what_differs_and_ends_with_72(
    landing: Landing, warehouse: Database
) -> None:
    command(landing, warehouse, "apply")
    assert "shop.people: equal to staging, 2 rows" in command(landing, warehouse, "rebuild").out
    warehouse.execute("update staging.people set city = 'Paris' where id = 2")
    told = command(landing, warehouse, "rebuild", "--table", "shop.people")
    assert told.code == 72
    assert "1 rows have other values" in told.err
    assert "(2) differs" in told.out
    swapped = command(landing, warehouse, "rebuild", "--swap", "--json")
    assert (swapped.code, swapped.json["swapped"], swapped.json["equal"]) == (0, True, False)
    assert command(landing, warehouse, "rebuild", "--json").json["equal"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply", "--upto", "yesterday"),
        ("apply", "--table", "people"),
        ("apply", "--table", "shop.nothing"),
        ("rebuild", "--as-of", "1/Z"),
    ],
)
def test_what_is_no_point_and_no_table_is_refused(
    arguments: tuple[str, ...], landing: Landing, warehouse: Database
) -> None:
    assert command(landing, warehouse, *arguments).code == 2


def test_memory_and_the_place_of_the_spill_are_settings(
    landing: Landing, warehouse: Database, tmp_path: Path
) -> None:
    file = landing.settings(warehouse).file
    text = file.read_text("utf-8").replace(
        "warehouse:\n", "warehouse:\n  memory_mb: 100\n  spill_directory: spill\n"
    )
    file.write_text(text, "utf-8")
    wanted = load_settings(file, {})
    with pytest.raises(SettingsInvalid, match="spill_directory"):
        workbench_of(wanted)
    (tmp_path / "spill").mkdir()
    with workbench_of(wanted) as bench:
        query = compose("select current_setting('memory_limit'), current_setting('temp_directory')")
        memory, place = bench.rows(query)[0]
    assert memory == "100.0 MiB"
    assert Path(place).parent.parent == tmp_path / "spill"
