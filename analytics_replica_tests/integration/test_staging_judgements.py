"""What the ledger says, and the judgements about staging: drift, row counts, position, rebuild.

Not here: how staging comes to be (test_staging_last_states.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Outcome, Verdict
from analytics_replica.postgres.connect import Connection, connection
from analytics_replica.staging import ledger
from analytics_replica.staging.drift import check_drift
from analytics_replica.staging.quarantine import TableQuarantined
from analytics_replica.staging.rebuild import rebuild
from analytics_replica.staging.reconcile import ledger_at_landing, row_count_floor
from analytics_replica_tests.support.drawings import Drawn, shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


@contextlib.contextmanager
def connected(warehouse: Database) -> Iterator[Connection]:
    with connection(warehouse.dsn("loader")) as conn:
        yield conn


def drift(landing: Landing, warehouse: Database) -> Verdict:
    with connected(warehouse) as conn:
        return check_drift(conn, landing.settings(warehouse), landing.store)[PEOPLE.table]


def floor(landing: Landing, warehouse: Database) -> Verdict:
    with connected(warehouse) as conn:
        return row_count_floor(conn, landing.settings(warehouse), PEOPLE.table)


def at_landing(landing: Landing, warehouse: Database) -> Verdict:
    with connected(warehouse) as conn:
        return ledger_at_landing(conn, landing.store)


def test_the_ledger_says_where_staging_is_and_nothing_before_the_first_apply(
    landing: Landing, warehouse: Database
) -> None:
    with connected(warehouse) as conn:
        assert (ledger.position(conn), ledger.last_batch(conn)) == (None, 0)
    three_people(landing, warehouse)
    with connected(warehouse) as conn:
        assert (ledger.position(conn), ledger.last_batch(conn)) == (Lsn.parse("0/100"), 1)
        assert ledger.tables(conn)[PEOPLE.table].rows == 3


def test_staging_is_at_the_end_of_landing_or_says_how_far_it_is(
    landing: Landing, warehouse: Database
) -> None:
    assert at_landing(landing, warehouse).outcome is Outcome.CANNOT_TELL
    three_people(landing, warehouse)
    assert at_landing(landing, warehouse).outcome is Outcome.PASS
    landing.stream("0/200")
    landing.stream("0/300")
    behind = at_landing(landing, warehouse)
    assert behind.outcome is Outcome.FAIL
    assert "2 batches away" in behind.summary()


def test_a_table_that_loses_more_than_half_of_its_rows_is_reported(
    landing: Landing, warehouse: Database
) -> None:
    assert floor(landing, warehouse).outcome is Outcome.CANNOT_TELL
    three_people(landing, warehouse)
    assert floor(landing, warehouse).outcome is Outcome.CANNOT_TELL
    landing.stream("0/200")
    landing.apply(warehouse)
    assert floor(landing, warehouse).outcome is Outcome.PASS
    deletes = "lsn | op | id | city | bio\n0/210 | delete | 1 | |\n0/210 | delete | 2 | |"
    landing.stream("0/300", {PEOPLE: deletes})
    landing.apply(warehouse)
    lost = floor(landing, warehouse)
    assert lost.outcome is Outcome.FAIL
    assert "has 33% of the 3 before" in lost.summary()


def test_a_row_that_somebody_added_to_staging_is_counted(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream("0/200")
    landing.apply(warehouse)
    warehouse.execute("insert into staging.people values (9, 'x', 'y', '0/1')")
    assert "has 4 rows; the ledger counted 3" in floor(landing, warehouse).summary()


def test_staging_as_landed_does_not_drift(landing: Landing, warehouse: Database) -> None:
    assert drift(landing, warehouse).outcome is Outcome.CANNOT_TELL
    three_people(landing, warehouse)
    assert drift(landing, warehouse).outcome is Outcome.PASS


def test_a_sealed_column_and_one_that_no_longer_comes_are_drift_before_they_are_applied(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    columns = {"id": "bigint key", "city": "text", "phone": "text"}
    changed = Drawn("shop.people", columns, {"phone": "sealed"})
    landing.stream("0/200", {changed: "lsn | op | id | city | phone\n0/110 | insert | 4 | Rome |"})
    found = drift(landing, warehouse)
    assert found.outcome is Outcome.FAIL
    assert [str(finding) for finding in found.findings] == [
        "shop.people.phone: is sealed: replica.yaml does not classify it",
        "shop.people.bio: is in replica.yaml and no longer comes",
    ]


def test_a_column_that_came_later_than_some_rows_is_not_certain(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    later = Drawn("shop.people", {**PEOPLE.columns, "age": "integer"})
    landing.tables = (later,)
    landing.stream("0/200", {later: "lsn | op | id | city | bio | age\n0/110 | insert | 4 | | | 7"})
    landing.apply(warehouse)
    unsure = drift(landing, warehouse)
    assert unsure.outcome is Outcome.CANNOT_TELL
    assert "age: came at 0/100; earlier rows are NULL in it" in unsure.summary()
    landing.copy("0/300", {later: "id | city | bio | age\n4 | | | 7"})
    landing.apply(warehouse)
    assert drift(landing, warehouse).outcome is Outcome.PASS


def test_rows_that_still_have_an_earlier_treatment_are_drift(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    masked = Drawn("shop.people", PEOPLE.columns, {"city": "token domain=city key=k1"})
    landing.stream("0/200", {masked: "lsn | op | id | city | bio\n0/110 | update | 1 | 5f |"})
    landing.apply(warehouse)
    found = drift(landing, warehouse)
    assert found.outcome is Outcome.FAIL
    assert "rows from before 0/100 are still: keep" in found.summary()


def test_a_column_that_somebody_altered_in_staging_is_drift(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    warehouse.execute("alter table staging.people add column extra int, drop column bio")
    says = drift(landing, warehouse).summary()
    assert "bio: is landed and not in staging" in says
    assert "extra: is in staging and no longer comes" in says


def test_staging_can_be_rebuilt_from_landing_alone(tmp_path: Path, warehouse: Database) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one", LOG: "at | line\n | x"})
    moved = "0/110 | delete | 1 | |\n0/110 | move | 2 | Rome | ~"
    landing.stream("0/200", {PEOPLE: f"lsn | op | id | city | bio\n{moved}"})
    landing.apply(warehouse)
    before = warehouse.rows("select * from staging.people")
    warehouse.execute(
        "update staging.people set city = 'wrong'; delete from staging.log; "
        "create schema gold_a authorization loader; "
        "create view gold_a.people as select * from staging.people; "
        "alter view gold_a.people owner to loader"
    )
    report = rebuild(landing.settings(warehouse), SystemClock())
    assert warehouse.rows("select * from staging.people") == before
    assert shown(warehouse, "staging.log") == [(None, "x")]
    assert (report.position, report.last_batch) == (Lsn.parse("0/200"), 2)
    assert warehouse.rows("select * from gold_a.people") == before


def test_a_rebuild_keeps_somebodys_view_and_refuses_what_it_cannot_keep(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    warehouse.execute("create schema mine; create view mine.p as select * from staging.people")
    warehouse.execute("alter view mine.p owner to loader; grant all on schema mine to loader")
    rebuild(landing.settings(warehouse), SystemClock())
    assert warehouse.scalar("select count(*) from mine.p") == 3
    warehouse.execute("create materialized view mine.m as select * from staging.people")
    with pytest.raises(TableQuarantined, match=r"mine\.m reads it"):
        rebuild(landing.settings(warehouse), SystemClock())
    assert warehouse.scalar("select count(*) from mine.m") == 3
    assert warehouse.scalar("select count(*) from staging.people") == 3
