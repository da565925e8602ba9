"""Values that production did not log because they did not change (TOAST): kept, never guessed.

Not here: other last states (test_staging_last_states.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica_tests.support.drawings import shown, table
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


def test_an_unchanged_value_is_the_last_one_known_in_the_window_or_in_staging(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city  | bio
            0/110 | update |  1 | Lima  | ~
            0/120 | update |  2 | Quito | second
            0/130 | update |  2 | Cusco | ~
            0/140 | insert |  4 | Kyiv  | fourth
            0/150 | update |  4 | Lviv  | ~
            0/160 | update |  3 | Pori  | ~
            """
        },
    )
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city  | bio
         1 | Lima  | one
         2 | Cusco | second
         3 | Pori  |
         4 | Lviv  | fourth
    """)


def test_a_moved_row_takes_its_unchanged_value_along(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city  | bio
            0/110 | delete |  1 |       |
            0/110 | move   | 11 | Oslo  | ~
            0/120 | update |  2 | Quito | second
            0/130 | delete |  2 |       |
            0/130 | move   | 12 | Quito | ~
            """
        },
    )
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city  | bio
         3 | Turku |
        11 | Oslo  | one
        12 | Quito | second
    """)


def test_unchanged_values_follow_chains_and_swaps_of_keys(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city   | bio
            0/110 | delete |  1 |        |
            0/110 | move   |  9 | Oslo   | ~
            0/110 | delete |  2 |        |
            0/110 | move   |  1 | Bergen | ~
            0/110 | delete |  9 |        |
            0/110 | move   |  2 | Oslo   | ~
            0/120 | delete |  2 |        |
            0/120 | move   |  7 | Oslo   | ~
            0/130 | update |  7 | Moss   | ~
            0/140 | insert |  2 | Rome   | new
            """
        },
    )
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city   | bio
         1 | Bergen | two
         2 | Rome   | new
         3 | Turku  |
         7 | Moss   | one
    """)


def test_an_unchanged_value_that_nobody_has_quarantines_its_table_and_no_other(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    landing.apply(warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city  | bio
            0/110 | update |  1 | Lima  | ~
            0/120 | update |  5 | Quito | ~
            """,
            LOG: """
            lsn   | op     | at         | line
            0/130 | insert | 2026-01-01 | on
            """,
        },
    )
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == [("1", "Oslo", "one")]
    assert shown(warehouse, "staging.log") == [("2026-01-01", "on")]
    assert list(report.quarantined) == [PEOPLE.table]
    assert (
        "1 rows have values that production did not log (bio)" in (report.quarantined[PEOPLE.table])
    )
    assert report.position == Lsn.parse("0/200")


def test_a_quarantined_table_is_healed_by_a_copy_of_it(tmp_path: Path, warehouse: Database) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    lost = "lsn | op | id | city | bio\n0/120 | update | 5 | Quito | ~"
    landing.stream("0/200", {PEOPLE: lost})
    landing.apply(warehouse)
    landing.stream("0/300", {PEOPLE: "lsn | op | id | city | bio\n0/210 | insert | 6 | Rome |"})
    assert list(landing.apply(warehouse).quarantined) == [PEOPLE.table]
    landing.copy("0/380", {PEOPLE: "id | city | bio\n5 | Quito | five\n6 | Rome |"})
    landing.stream("0/400", {PEOPLE: "lsn | op | id | city | bio\n0/310 | delete | 5 | |"})
    landing.stream("0/500", {PEOPLE: "lsn | op | id | city | bio\n0/410 | update | 6 | Pisa |"})
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == [("5", "Quito", "five"), ("6", "Pisa", None)]
    assert report.quarantined == {}
