"""A copy of one table among the changes of all: whole, or not there yet.

Not here: making such a copy (scenarios/test_resync.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.drawings import Drawn, shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.servers import Database

NARROW = Drawn("shop.people", {"id": "bigint key", "city": "text", "bio": "integer"})
CHANGES = {
    PEOPLE: "lsn | op | id | city | bio\n0/250 | insert | 2 | Rome | void",
    LOG: "lsn | op | at | line\n0/260 | insert | 2026-01-02 | second",
}


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE, LOG))


def test_changes_of_a_table_that_was_never_copied_wait_for_its_copy(
    landing: Landing, warehouse: Database
) -> None:
    landing.tables = (PEOPLE,)
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo |"})
    landing.apply(warehouse)
    landing.tables = (PEOPLE, LOG)
    landing.stream("0/300", CHANGES)
    for applied in (landing.apply, lambda w: rebuild(landing.settings(w), SystemClock())):
        report = applied(warehouse)
        assert LOG.table not in report.tables
        assert report.position == Lsn.parse("0/300")
        assert warehouse.scalar("select to_regclass('staging.log') is null")
        assert len(shown(warehouse, "staging.people")) == 2
    landing.copy("0/200", {LOG: "at | line\n2026-01-01 | first"})
    assert landing.apply(warehouse).quarantined == {}
    expected = [("2026-01-01", "first"), ("2026-01-02", "second")]
    assert sorted(shown(warehouse, "staging.log")) == expected
    rebuild(landing.settings(warehouse), SystemClock())
    assert sorted(shown(warehouse, "staging.log")) == expected


def test_what_was_landed_in_another_shape_before_the_copy_is_not_compared_with_it(
    landing: Landing, warehouse: Database
) -> None:
    """The batch that holds the copy's position begins before the column was narrowed."""
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | text", LOG: "at | line"})
    landing.apply(warehouse)
    landing.stream("0/300", {PEOPLE: "lsn | op | id | city | bio\n0/150 | insert | 2 | Rome | x"})
    landing.stream("0/400", {NARROW: "lsn | op | id | city | bio\n0/350 | insert | 3 | Bari | 33"})
    assert list(landing.apply(warehouse).quarantined) == [PEOPLE.table]
    landing.copy("0/200", {NARROW: "id | city | bio\n1 | Oslo | 11\n2 | Rome | 22"})
    assert landing.apply(warehouse).quarantined == {}
    assert [row[2] for row in shown(warehouse, "staging.people")] == ["11", "22", "33"]


def test_a_copy_whose_later_changes_are_not_all_landed_is_not_applied(
    landing: Landing, warehouse: Database
) -> None:
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo |", LOG: "at | line"})
    landing.apply(warehouse)
    landing.stream("0/300", CHANGES)
    landing.copy("0/050", {PEOPLE: "id | city | bio"})
    assert list(landing.apply(warehouse).quarantined) == [PEOPLE.table]
    assert shown(warehouse, "staging.people") == [("1", "Oslo", None)]
