"""What is left of a key after inserts, updates, deletes and changes of the key.

Not here: values that production did not log (test_staging_unchanged.py), all histories at once
(properties/test_staging_history.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.staging.apply import TableApplied
from analytics_replica_tests.support.drawings import shown, table
from analytics_replica_tests.support.landed import PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


def test_the_last_update_of_a_key_wins_and_a_delete_removes_it(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city    | bio
            0/110 | update |  1 | Lima    | one
            0/120 | update |  1 | Quito   | uno
            0/130 | delete |  2 |         |
            0/140 | insert |  4 | Nairobi | ''
            """
        },
    )
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city    | bio
         1 | Quito   | uno
         3 | Turku   |
         4 | Nairobi | ''
    """)
    assert report.tables == {PEOPLE.table: TableApplied(1, 1, 1, 3)}
    assert (report.position, report.batches, report.last_batch) == (Lsn.parse("0/200"), 1, 2)


def test_a_row_says_which_commit_touched_it_last(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/110 | update |  1 | Lima | one
            """
        },
    )
    landing.apply(warehouse)
    found = warehouse.rows(
        "select id, _replica_lsn::text, _replica_committed_at is not null "
        "from staging.people order by id"
    )
    assert found == [(1, "0/110", True), (2, "0/FF", True), (3, "0/FF", True)]


def test_a_key_that_is_deleted_and_inserted_again_has_only_its_new_values(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/110 | delete |  1 |      |
            0/110 | insert |  1 | Lima |
            0/120 | insert |  9 | Lima |
            0/130 | delete |  9 |      |
            """
        },
    )
    report = landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city   | bio
         1 | Lima   |
         2 | Bergen | two
         3 | Turku  |
    """)
    assert report.tables[PEOPLE.table] == TableApplied(0, 1, 0, 3)


def test_a_changed_key_leaves_no_ghost_under_the_old_one(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/110 | delete |  1 |      |
            0/110 | move   |  8 | Oslo | one
            """
        },
    )
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city   | bio
         2 | Bergen | two
         3 | Turku  |
         8 | Oslo   | one
    """)


def test_two_keys_swapped_in_one_transaction_change_places(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city   | bio
            0/110 | delete |  1 |        |
            0/110 | move   |  9 | Oslo   | one
            0/110 | delete |  2 |        |
            0/110 | move   |  1 | Bergen | two
            0/110 | delete |  9 |        |
            0/110 | move   |  2 | Oslo   | one
            """
        },
    )
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city   | bio
         1 | Bergen | two
         2 | Oslo   | one
         3 | Turku  |
    """)
