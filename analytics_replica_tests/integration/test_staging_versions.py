"""Histories and kept rows through new copies, rebuilds, crashes and changes of mind.

Not here: any history of any rows (properties/test_row_versions.py), a real production
(scenarios/test_row_history.py).
"""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.staging.rebuild import Asked, rebuild
from analytics_replica.staging.reconciliation.judgement import against_landing
from analytics_replica_tests.integration.test_staging_crashes import (
    DIES_AFTER,
    _wait_until_the_server_noticed,
)
from analytics_replica_tests.support.drawings import Drawn, shown
from analytics_replica_tests.support.landed import DAY, LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database

NEVER = 100_000
REMEMBERS = {PEOPLE.name: {"history": True, "deleted": "keep", "deleted_days": NEVER}}


def _landing(root: Path, **options: Any) -> Landing:
    return Landing(root, (PEOPLE,), options={PEOPLE.name: {"deleted_days": NEVER, **options}})


def _versions(warehouse: Database, columns: str = "id, city") -> list[tuple[Any, ...]]:
    return warehouse.rows(
        f"select {columns}, _replica_lsn::text, _replica_ended_lsn::text, _replica_deleted "
        "from history.people h order by h.id, h._replica_lsn"
    )


def _living(warehouse: Database) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "select id, city, _replica_deleted_lsn::text from staging.people order by id"
    )


def _change(landing: Landing, upto: str, drawing: str) -> None:
    landing.stream(upto, {PEOPLE: "lsn | op | id | city | bio\n" + drawing})


def _time(lsn: int) -> datetime:
    return DAY + timedelta(seconds=lsn)


def test_a_new_copy_ends_what_is_gone_and_begins_what_differs_and_leaves_equals_alone(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = _landing(tmp_path, history=True, deleted="keep")
    three_people(landing, warehouse)
    _change(landing, "0/200", "0/110 | update | 1 | Lima | one")
    landing.apply(warehouse)
    copied = "id | city | bio\n1 | Lima | one\n2 | Rome | two\n4 | Bonn | four"
    landing.copy_rows("0/300", {})
    landing.copy("0/300", {PEOPLE: copied})
    landing.apply(warehouse)
    assert _versions(warehouse) == [
        (1, "Oslo", "0/FF", "0/110", False),
        (1, "Lima", "0/110", None, False),
        (2, "Bergen", "0/FF", "0/2FF", False),
        (2, "Rome", "0/2FF", None, False),
        (3, "Turku", "0/FF", "0/2FF", True),
        (4, "Bonn", "0/2FF", None, False),
    ]
    ended = (
        "select distinct _replica_valid_to from history.people where _replica_ended_lsn > '0/200'"
    )
    assert warehouse.rows(ended) == [(_time(0x110),)], "the last commit known before the copy"
    assert _living(warehouse) == [
        (1, "Lima", None),
        (2, "Rome", None),
        (3, "Turku", "0/2FF"),
        (4, "Bonn", None),
    ]


def test_a_copy_from_before_what_was_applied_tells_nothing_twice(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = _landing(tmp_path, history=True, deleted="keep")
    three_people(landing, warehouse)
    _change(landing, "0/200", "0/110 | update | 1 | Lima | one\n0/120 | delete | 2 | |")
    _change(landing, "0/300", "0/210 | update | 1 | Rome | one\n0/220 | delete | 3 | |")
    landing.apply(warehouse)
    before = _versions(warehouse), _living(warehouse)
    landing.copy("0/200", {PEOPLE: "id | city | bio\n1 | Lima | one\n3 | Turku |"})
    assert landing.apply(warehouse).quarantined == {}
    assert (_versions(warehouse), _living(warehouse)) == before


def test_a_rebuild_of_staging_brings_the_history_to_where_it_was(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = _landing(tmp_path, history=True)
    three_people(landing, warehouse)
    _change(landing, "0/200", "0/110 | update | 1 | Lima | ~\n0/120 | delete | 2 | |")
    landing.apply(warehouse)
    _change(landing, "0/300", "0/210 | update | 1 | Rome | ~")
    landing.apply(warehouse)
    before = _versions(warehouse, "id, city, bio")
    rebuild(landing.settings(warehouse), SystemClock())
    assert _versions(warehouse, "id, city, bio") == before
    assert landing.apply(warehouse).batches == 0


def test_a_rebuild_keeps_versions_that_landing_has_forgotten(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = _landing(tmp_path, history=True)
    three_people(landing, warehouse)
    _change(landing, "0/200", "0/110 | update | 1 | Lima | one")
    landing.apply(warehouse)
    landing.copy(
        "0/200", {PEOPLE: "id | city | bio\n1 | Lima | one\n2 | Bergen | two\n3 | Turku |"}
    )
    landing.apply(warehouse)
    for file in sorted((tmp_path / "landing").glob("**/*")):
        if file.is_file() and ("00000001" in file.name or "00000002" in file.name):
            file.unlink()
    rebuild(landing.settings(warehouse), SystemClock())
    assert _versions(warehouse) == [
        (1, "Oslo", "0/FF", "0/110", False),
        (1, "Lima", "0/110", None, False),
        (2, "Bergen", "0/FF", None, False),
        (3, "Turku", "0/FF", None, False),
    ]


def test_a_history_that_is_switched_on_begins_with_staging(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    landing.apply(warehouse)
    _change(landing, "0/200", "0/110 | update | 1 | Lima | one")
    landing.apply(warehouse)
    assert warehouse.scalar("select to_regclass('ops.history')") is None
    landing.options = {PEOPLE.name: {"history": True}}
    landing.stream("0/300")
    landing.apply(warehouse)
    assert _versions(warehouse) == [(1, "Lima", "0/110", None, False)], "without any change"
    landing.options = {}
    _change(landing, "0/400", "0/310 | update | 1 | Rome | ~\n0/320 | insert | 2 | Bonn | two")
    landing.apply(warehouse)
    landing.options = {PEOPLE.name: {"history": True}}
    _change(landing, "0/500", "0/410 | update | 1 | Kiel | ~")
    landing.apply(warehouse)
    assert _versions(warehouse) == [
        (1, "Lima", "0/110", "0/400", False),
        (1, "Rome", "0/400", "0/410", False),
        (1, "Kiel", "0/410", None, False),
        (2, "Bonn", "0/400", None, False),
    ]


def test_deleted_rows_go_when_they_are_to_be_removed_again(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE,))
    three_people(landing, warehouse)
    landing.options = {PEOPLE.name: {"deleted": "keep", "deleted_days": NEVER}}
    _change(landing, "0/200", "0/110 | delete | 2 | |\n0/120 | truncate | | |")
    assert landing.apply(warehouse).tables[PEOPLE.table].deleted == 3
    assert [gone for _, _, gone in _living(warehouse)] == ["0/120", "0/110", "0/120"]
    _change(landing, "0/300", "0/210 | insert | 3 | Turku |")
    report = landing.apply(warehouse).tables[PEOPLE.table]
    assert (report.inserted, report.rows_total_estimate) == (1, 1)
    assert _living(warehouse)[2] == (3, "Turku", None)
    landing.options = {}
    landing.stream("0/400")
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == [("3", "Turku", None)]
    columns = "select count(*) from pg_attribute where attname like '_replica_deleted%'"
    assert warehouse.scalar(columns) == 0


def test_columns_come_widen_and_go_in_a_history_as_in_staging(
    tmp_path: Path, warehouse: Database
) -> None:
    name = 'shop."Ränge"'
    options = {name: {"history": True, "deleted_days": NEVER}}
    old = Drawn(name, {"id": "integer key", 'o"ld': "text", "n": "smallint"})
    landing = Landing(tmp_path, (old,), options=options)
    landing.copy("0/100", {old: 'id | o"ld | n\n1 | x | 1\n2 | y | 2'})
    landing.apply(warehouse)
    new = Drawn(name, {"id": "integer key", "n": "bigint", "neu": "text"})
    landing.tables = (new,)
    landing.stream("0/200", {new: "lsn | op | id | n | neu\n0/110 | update | 1 | 7000000000 | a"})
    assert landing.apply(warehouse).quarantined == {}
    query = 'select id, "o""ld", n, neu, _replica_deleted from history."Ränge" order by id, n'
    versions = [
        (1, "x", 1, None, False),
        (1, None, 7000000000, "a", False),
        (2, "y", 2, None, False),
    ]
    assert warehouse.rows(query) == versions
    landing.copy("0/200", {new: "id | n | neu\n1 | 7000000000 | a\n2 | 2 |"})
    landing.apply(warehouse)
    rows = warehouse.rows('select id, n, neu from history."Ränge" order by id, n')
    assert rows == [(1, 1, None), (1, 7000000000, "a"), (2, 2, None)]
    landed = "select count(*) from pg_attribute where attrelid = 'history.\"Ränge\"'::regclass "
    assert warehouse.scalar(landed + "and attname like 'o\"ld'") == 0


def test_a_history_follows_a_new_alias(tmp_path: Path, warehouse: Database) -> None:
    landing = _landing(tmp_path, history=True)
    three_people(landing, warehouse)
    landing.options[PEOPLE.name]["alias"] = "persons"
    _change(landing, "0/200", "0/110 | delete | 1 | |")
    landing.apply(warehouse)
    assert warehouse.scalar("select count(*) from history.persons") == 3
    assert warehouse.scalar("select to_regclass('history.people')") is None


def test_deleted_people_are_in_no_version_and_no_kept_row_after_their_days(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = _landing(tmp_path, history=True, deleted="keep")
    three_people(landing, warehouse)
    _change(
        landing,
        "0/200",
        "0/110 | update | 1 | Lima | one\n"
        "0/120 | delete | 1 | |\n"
        "0/130 | delete | 2 | |\n"
        "0/130 | move | 5 | Bergen | ~\n"
        "0/140 | delete | 3 | |\n"
        "0/150 | insert | 3 | Rome | again",
    )
    landing.apply(warehouse)
    assert len(_versions(warehouse)) == 6
    landing.options[PEOPLE.name]["deleted_days"] = 0
    landing.stream("0/300")
    landing.apply(warehouse)
    assert _versions(warehouse) == [
        (3, "Rome", "0/150", None, False),
        (5, "Bergen", "0/130", None, False),
    ]
    assert _living(warehouse) == [(3, "Rome", None), (5, "Bergen", None)]


@pytest.mark.parametrize("tables_done", [0, 1])
def test_a_process_that_is_killed_leaves_history_staging_and_ledger_together(
    tables_done: int, tmp_path: Path, warehouse: Database
) -> None:
    landing = _landing(tmp_path, history=True, deleted="keep")
    three_people(landing, warehouse)
    before = _versions(warehouse), _living(warehouse)
    _change(landing, "0/200", "0/110 | update | 1 | Lima | ~\n0/120 | delete | 2 | |")
    landing.settings(warehouse)
    arguments = [str(tmp_path / "replica.yaml"), warehouse.dsn("loader"), str(tables_done)]
    died = subprocess.run([sys.executable, "-c", DIES_AFTER, *arguments], check=False)
    assert died.returncode == -signal.SIGKILL
    _wait_until_the_server_noticed(warehouse)
    assert (_versions(warehouse), _living(warehouse)) == before
    assert warehouse.scalar("select last_batch from ops.ledger") == 1
    assert warehouse.scalar("select last_batch from ops.history") == 1
    landing.apply(warehouse)
    assert _versions(warehouse) == [
        (1, "Oslo", "0/FF", "0/110", False),
        (1, "Lima", "0/110", None, False),
        (2, "Bergen", "0/FF", "0/120", True),
        (3, "Turku", "0/FF", None, False),
    ]
    assert warehouse.scalar("select last_batch from ops.history") == 2


def test_kept_rows_are_compared_with_nothing_by_rebuilds_and_reconciliation(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = _landing(tmp_path, deleted="keep")
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | a\n2 | Lima | b"})
    landing.apply(warehouse)
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | delete | 2 | |"})
    landing.apply(warehouse)
    settings = landing.settings(warehouse)
    for forget in ("select 1", "delete from staging.people where _replica_deleted_lsn is not null"):
        warehouse.execute(forget)
        beside = rebuild(settings, SystemClock(), asked=Asked(swap=False))
        assert beside.equal
        assert beside.differences[PEOPLE.table].rows_rebuilt == 1
        assert against_landing(settings, PEOPLE.table).outcome is Outcome.PASS
    assert warehouse.scalar("select count(*) from staging_rebuilt.people") == 2
    warehouse.execute("update staging.people set city = 'Rom'")
    assert against_landing(settings, PEOPLE.table).outcome is Outcome.FAIL
