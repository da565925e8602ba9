"""What replaces or empties a whole table, and tables without a key.

Not here: single keys (test_staging_last_states.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.staging.apply import TableApplied
from analytics_replica_tests.support.drawings import shown, table
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


def test_truncate_removes_what_was_before_it_and_nothing_after(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op       | id | city | bio
            0/110 | insert   |  4 | Rome |
            0/120 | truncate |    |      |
            0/120 | insert   |  1 | Lima | ''
            0/130 | insert   |  5 | Pisa | five
            0/140 | update   |  5 | Bari | ~
            """
        },
    )
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city | bio
         1 | Lima | ''
         5 | Bari | five
    """)
    assert report.tables[PEOPLE.table] == TableApplied(1, 1, 2, 2)


def test_a_truncated_table_may_stay_empty(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | truncate | | |"})
    assert landing.apply(warehouse).tables[PEOPLE.table] == TableApplied(0, 0, 3, 0)
    assert shown(warehouse, "staging.people") == []


def test_a_copy_voids_what_was_known_and_touches_only_rows_that_differ(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    before = dict(warehouse.rows("select id, ctid::text from staging.people"))
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/110 | insert |  4 | Rome | void
            0/120 | update |  9 | Rome | ~
            """
        },
    )
    landing.copy(
        "0/300",
        {
            PEOPLE: """
            id | city   | bio
             1 | Oslo   | one
             2 | Bergen | changed
             5 | Pisa   |
            """
        },
    )
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city   | bio
         1 | Oslo   | one
         2 | Bergen | changed
         5 | Pisa   |
    """)
    assert report.tables[PEOPLE.table] == TableApplied(1, 1, 1, 3)
    after = dict(warehouse.rows("select id, ctid::text from staging.people"))
    assert after[1] == before[1]


def test_changes_from_before_a_copy_do_not_count_wherever_they_are_landed(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio", LOG: "at | line"})
    landing.apply(warehouse)
    landing.copy("0/300", {PEOPLE: "id | city | bio\n1 | Oslo |"})
    assert landing.apply(warehouse).position == Lsn.parse("0/100")
    landing.stream(
        "0/400",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/110 | insert |  1 | Lima | in the copy already
            0/120 | delete |  1 |      |
            0/310 | insert |  2 | Rome |
            """
        },
    )
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == [("1", "Oslo", None), ("2", "Rome", None)]
    assert report.position == Lsn.parse("0/400")


def test_a_copy_from_before_what_was_applied_gets_the_later_changes_again(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio", LOG: "at | line"})
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | insert | 1 | Oslo |"})
    landing.stream("0/300", {PEOPLE: "lsn | op | id | city | bio\n0/210 | update | 1 | Lima |"})
    landing.apply(warehouse)
    landing.copy("0/150", {PEOPLE: "id | city | bio\n1 | Oslo | copied\n2 | Rome |"})
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == [("1", "Lima", None), ("2", "Rome", None)]


def test_a_table_without_a_key_is_an_exact_multiset(tmp_path: Path, warehouse: Database) -> None:
    landing = Landing(tmp_path, (LOG,))
    landing.copy(
        "0/100",
        {
            LOG: """
            at         | line
            2026-01-01 | on
            2026-01-01 | on
            2026-01-01 | on
            2026-01-02 |
            """
        },
    )
    landing.apply(warehouse)
    landing.stream(
        "0/200",
        {
            LOG: """
            lsn   | op     | at         | line
            0/110 | delete | 2026-01-01 | on
            0/110 | delete | 2026-01-02 |
            0/110 | insert | 2026-01-02 | ''
            0/120 | insert | infinity   | off
            0/120 | insert | infinity   | off
            0/130 | insert | 2026-01-09 | gone
            0/140 | delete | 2026-01-09 | gone
            """
        },
    )
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.log") == table("""
        at         | line
        2026-01-01 | on
        2026-01-01 | on
        2026-01-02 | ''
        infinity   | off
        infinity   | off
    """)
    assert report.tables[LOG.table] == TableApplied(3, 0, 2, 5)


def test_a_table_without_a_key_that_lacks_a_deleted_row_is_quarantined(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (LOG,))
    landing.copy("0/100", {LOG: "at | line\n2026-01-01 | on"})
    landing.stream("0/200", {LOG: "lsn | op | at | line\n0/110 | delete | 2026-01-01 | off"})
    landing.apply(warehouse, upto=1)
    report = landing.apply(warehouse)
    assert "1 rows were deleted on production" in report.quarantined[LOG.table]
    assert shown(warehouse, "staging.log") == [("2026-01-01", "on")]


def test_a_table_without_a_key_can_be_truncated_and_copied(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (LOG,))
    landing.copy("0/100", {LOG: "at | line\n2026-01-01 | on"})
    landing.apply(warehouse)
    landing.stream(
        "0/200",
        {LOG: "lsn | op | at | line\n0/110 | truncate | |\n0/120 | insert | 2026-01-02 | x"},
    )
    landing.apply(warehouse)
    assert shown(warehouse, "staging.log") == [("2026-01-02", "x")]
    landing.copy("0/300", {LOG: "at | line\n2026-01-03 | y\n2026-01-03 | y"})
    landing.apply(warehouse)
    assert shown(warehouse, "staging.log") == [("2026-01-03", "y")] * 2
