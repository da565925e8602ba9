"""Which batches an apply takes, and what happens if they are repeated, silent, missing or damaged.

Not here: what their events mean (test_staging_last_states.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import LandingBroken
from analytics_replica.landing.manifest import read_manifest
from analytics_replica.staging.apply import TableApplied
from analytics_replica_tests.support.drawings import shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


def test_applying_twice_changes_nothing(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    before = warehouse.rows("select xmin::text, ctid::text, * from staging.people order by id")
    ledger = warehouse.rows("select * from ops.ledger")
    report = landing.apply(warehouse)
    assert report.batches == 0
    assert (
        warehouse.rows("select xmin::text, ctid::text, * from staging.people order by id") == before
    )
    assert warehouse.rows("select * from ops.ledger") == ledger


def test_batches_that_are_landed_again_change_nothing(tmp_path: Path, warehouse: Database) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    changes = {
        PEOPLE: """
        lsn   | op     | id | city | bio
        0/110 | delete |  1 |      |
        0/110 | move   |  2 | Lima | ~
        """,
        LOG: "lsn | op | at | line\n0/120 | insert | 2026-01-01 | on",
    }
    landing.stream("0/200", changes)
    landing.apply(warehouse)
    landing.stream("0/200", changes)
    report = landing.apply(warehouse)
    assert report.batches == 1
    assert {(t.inserted, t.updated, t.deleted) for t in report.tables.values()} == {(0, 0, 0)}
    assert shown(warehouse, "staging.people") == [("2", "Lima", "one")]
    assert shown(warehouse, "staging.log") == [("2026-01-01", "on")]


def test_silence_moves_the_ledger_and_nothing_else(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    landing.stream("0/900")
    report = landing.apply(warehouse)
    assert (report.position, report.batches) == (Lsn.parse("0/900"), 1)
    assert report.tables[PEOPLE.table] == TableApplied(0, 0, 0, 3)
    assert warehouse.scalar("select position::text from ops.ledger") == "0/900"


def test_an_apply_can_stop_at_a_batch(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    for number in (2, 3, 4):
        rows = f"lsn | op | id | city | bio\n0/{number}10 | update | 1 | city {number} |"
        landing.stream(f"0/{number + 1}00", {PEOPLE: rows})
    assert landing.apply(warehouse, upto=3).last_batch == 3
    assert warehouse.scalar("select city from staging.people where id = 1") == "city 3"
    assert landing.apply(warehouse).last_batch == 4


def test_a_missing_batch_is_named_and_nothing_is_applied(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream("0/200")
    landing.stream("0/300")
    landing.store.remove("manifests/0000000002.json")
    with pytest.raises(LandingBroken, match="needs batch 2 next"):
        landing.apply(warehouse)
    assert warehouse.scalar("select last_batch from ops.ledger") == 1


def test_a_damaged_file_is_named_and_nothing_is_applied(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | delete | 1 | |"})
    path = read_manifest(landing.store, 2).files[0].path
    file = Path(landing.store.full(path))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(LandingBroken, match="checksum differs"):
        landing.apply(warehouse)
    assert warehouse.scalar("select count(*) from staging.people") == 3


def test_batches_of_another_production_are_refused(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    landing.system_identifier = "7000000000000000002"
    landing.stream("0/200")
    with pytest.raises(LandingBroken, match="another production"):
        landing.apply(warehouse)
