"""What staging holds after an apply, case by case, drawn as tables.

Not here: all histories at once (properties/test_staging_history.py), tables and their types
(test_staging_tables.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import LandingBroken
from analytics_replica.landing.manifest import read_manifest
from analytics_replica.staging.apply import ApplyReport, TableApplied, apply_pending
from analytics_replica_tests.support.landed import Drawn, Landing, shown, table
from analytics_replica_tests.support.servers import Database

PEOPLE = Drawn("shop.people", {"id": "bigint key", "city": "text", "bio": "text"})
LOG = Drawn("shop.log", {"at": "date", "line": "text"})


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


def apply(landing: Landing, warehouse: Database, upto: int | None = None) -> ApplyReport:
    return apply_pending(landing.settings(warehouse), SystemClock(), upto_sequence=upto)


def copied(landing: Landing, warehouse: Database) -> None:
    """Three people are in staging."""
    landing.copy(
        "0/100",
        {
            PEOPLE: """
            id | city   | bio
             1 | Oslo   | one
             2 | Bergen | two
             3 | Turku  |
            """
        },
    )
    apply(landing, warehouse)


def test_the_last_update_of_a_key_wins_and_a_delete_removes_it(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
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
    report = apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city    | bio
         1 | Quito   | uno
         3 | Turku   |
         4 | Nairobi | ''
    """)
    assert report.tables == {PEOPLE.table: TableApplied(1, 1, 1, 3)}
    assert (report.position, report.batches, report.last_batch) == (Lsn.parse("0/200"), 1, 2)


def test_a_row_says_which_commit_touched_it_last(landing: Landing, warehouse: Database) -> None:
    copied(landing, warehouse)
    landing.stream(
        "0/200",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/110 | update |  1 | Lima | one
            """
        },
    )
    apply(landing, warehouse)
    found = warehouse.rows(
        "select id, _replica_lsn::text, _replica_committed_at is not null "
        "from staging.people order by id"
    )
    assert found == [(1, "0/110", True), (2, "0/FF", True), (3, "0/FF", True)]


def test_a_key_that_is_deleted_and_inserted_again_has_only_its_new_values(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
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
    report = apply(landing, warehouse)
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
    copied(landing, warehouse)
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
    apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city   | bio
         2 | Bergen | two
         3 | Turku  |
         8 | Oslo   | one
    """)


def test_two_keys_swapped_in_one_transaction_change_places(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
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
    apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city   | bio
         1 | Bergen | two
         2 | Oslo   | one
         3 | Turku  |
    """)


def test_an_unchanged_value_is_the_last_one_known_in_the_window_or_in_staging(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
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
    apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city  | bio
         1 | Lima  | one
         2 | Cusco | second
         3 | Pori  |
         4 | Lviv  | fourth
    """)


def test_a_moved_row_takes_its_unchanged_value_along(landing: Landing, warehouse: Database) -> None:
    copied(landing, warehouse)
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
    apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city  | bio
         3 | Turku |
        11 | Oslo  | one
        12 | Quito | second
    """)


def test_unchanged_values_follow_chains_and_swaps_of_keys(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
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
    apply(landing, warehouse)
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
    apply(landing, warehouse)
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
    report = apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == [("1", "Oslo", "one")]
    assert shown(warehouse, "staging.log") == [("2026-01-01", "on")]
    assert list(report.quarantined) == [PEOPLE.table]
    assert "1 rows have values that production did not log (bio)" in (
        report.quarantined[PEOPLE.table]
    )
    assert report.position == Lsn.parse("0/200")


def test_a_quarantined_table_is_healed_by_a_copy_of_it(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line"})
    lost = "lsn | op | id | city | bio\n0/120 | update | 5 | Quito | ~"
    landing.stream("0/200", {PEOPLE: lost})
    apply(landing, warehouse)
    landing.stream("0/300", {PEOPLE: "lsn | op | id | city | bio\n0/210 | insert | 6 | Rome |"})
    assert list(apply(landing, warehouse).quarantined) == [PEOPLE.table]
    landing.copy("0/380", {PEOPLE: "id | city | bio\n5 | Quito | five\n6 | Rome |"})
    landing.stream("0/400", {PEOPLE: "lsn | op | id | city | bio\n0/310 | delete | 5 | |"})
    landing.stream("0/500", {PEOPLE: "lsn | op | id | city | bio\n0/410 | update | 6 | Pisa |"})
    report = apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == [("5", "Quito", "five"), ("6", "Pisa", None)]
    assert report.quarantined == {}


def test_truncate_removes_what_was_before_it_and_nothing_after(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
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
    report = apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == table("""
        id | city | bio
         1 | Lima | ''
         5 | Bari | five
    """)
    assert report.tables[PEOPLE.table] == TableApplied(1, 1, 2, 2)


def test_a_truncated_table_may_stay_empty(landing: Landing, warehouse: Database) -> None:
    copied(landing, warehouse)
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | truncate | | |"})
    assert apply(landing, warehouse).tables[PEOPLE.table] == TableApplied(0, 0, 3, 0)
    assert shown(warehouse, "staging.people") == []


def test_a_copy_voids_what_was_known_and_touches_only_rows_that_differ(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
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
    report = apply(landing, warehouse)
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
    apply(landing, warehouse)
    landing.copy("0/300", {PEOPLE: "id | city | bio\n1 | Oslo |"})
    assert apply(landing, warehouse).position == Lsn.parse("0/100")
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
    report = apply(landing, warehouse)
    assert shown(warehouse, "staging.people") == [("1", "Oslo", None), ("2", "Rome", None)]
    assert report.position == Lsn.parse("0/400")


def test_a_copy_from_before_what_was_applied_gets_the_later_changes_again(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio", LOG: "at | line"})
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | insert | 1 | Oslo |"})
    landing.stream("0/300", {PEOPLE: "lsn | op | id | city | bio\n0/210 | update | 1 | Lima |"})
    apply(landing, warehouse)
    landing.copy("0/150", {PEOPLE: "id | city | bio\n1 | Oslo | copied\n2 | Rome |"})
    apply(landing, warehouse)
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
    apply(landing, warehouse)
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
    report = apply(landing, warehouse)
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
    apply(landing, warehouse, upto=1)
    report = apply(landing, warehouse)
    assert "1 rows were deleted on production" in report.quarantined[LOG.table]
    assert shown(warehouse, "staging.log") == [("2026-01-01", "on")]


def test_a_table_without_a_key_can_be_truncated_and_copied(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (LOG,))
    landing.copy("0/100", {LOG: "at | line\n2026-01-01 | on"})
    apply(landing, warehouse)
    landing.stream(
        "0/200",
        {LOG: "lsn | op | at | line\n0/110 | truncate | |\n0/120 | insert | 2026-01-02 | x"},
    )
    apply(landing, warehouse)
    assert shown(warehouse, "staging.log") == [("2026-01-02", "x")]
    landing.copy("0/300", {LOG: "at | line\n2026-01-03 | y\n2026-01-03 | y"})
    apply(landing, warehouse)
    assert shown(warehouse, "staging.log") == [("2026-01-03", "y")] * 2


def test_applying_twice_changes_nothing(landing: Landing, warehouse: Database) -> None:
    copied(landing, warehouse)
    before = warehouse.rows("select xmin::text, ctid::text, * from staging.people order by id")
    ledger = warehouse.rows("select * from ops.ledger")
    report = apply(landing, warehouse)
    assert report.batches == 0
    assert warehouse.rows("select xmin::text, ctid::text, * from staging.people order by id") == before
    assert warehouse.rows("select * from ops.ledger") == ledger


def test_batches_that_are_landed_again_change_nothing(
    tmp_path: Path, warehouse: Database
) -> None:
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
    apply(landing, warehouse)
    landing.stream("0/200", changes)
    report = apply(landing, warehouse)
    assert report.batches == 1
    assert {(t.inserted, t.updated, t.deleted) for t in report.tables.values()} == {(0, 0, 0)}
    assert shown(warehouse, "staging.people") == [("2", "Lima", "one")]
    assert shown(warehouse, "staging.log") == [("2026-01-01", "on")]


def test_silence_moves_the_ledger_and_nothing_else(landing: Landing, warehouse: Database) -> None:
    copied(landing, warehouse)
    landing.stream("0/900")
    report = apply(landing, warehouse)
    assert (report.position, report.batches) == (Lsn.parse("0/900"), 1)
    assert report.tables[PEOPLE.table] == TableApplied(0, 0, 0, 3)
    assert warehouse.scalar("select position::text from ops.ledger") == "0/900"


def test_an_apply_can_stop_at_a_batch(landing: Landing, warehouse: Database) -> None:
    copied(landing, warehouse)
    for number in (2, 3, 4):
        rows = f"lsn | op | id | city | bio\n0/{number}10 | update | 1 | city {number} |"
        landing.stream(f"0/{number + 1}00", {PEOPLE: rows})
    assert apply(landing, warehouse, upto=3).last_batch == 3
    assert warehouse.scalar("select city from staging.people where id = 1") == "city 3"
    assert apply(landing, warehouse).last_batch == 4


def test_a_missing_batch_is_named_and_nothing_is_applied(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
    landing.stream("0/200")
    landing.stream("0/300")
    landing.store.remove("manifests/0000000002.json")
    with pytest.raises(LandingBroken, match="needs batch 2 next"):
        apply(landing, warehouse)
    assert warehouse.scalar("select last_batch from ops.ledger") == 1


def test_a_damaged_file_is_named_and_nothing_is_applied(
    landing: Landing, warehouse: Database
) -> None:
    copied(landing, warehouse)
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | delete | 1 | |"})
    path = read_manifest(landing.store, 2).files[0].path
    file = Path(landing.store.full(path))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(LandingBroken, match="checksum differs"):
        apply(landing, warehouse)
    assert warehouse.scalar("select count(*) from staging.people") == 3


def test_batches_of_another_production_are_refused(landing: Landing, warehouse: Database) -> None:
    copied(landing, warehouse)
    landing.system_identifier = "7000000000000000002"
    landing.stream("0/200")
    with pytest.raises(LandingBroken, match="another production"):
        apply(landing, warehouse)
