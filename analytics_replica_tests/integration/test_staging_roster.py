"""Staging follows replica.yaml's list of tables, and notices what people do to its own.

Not here: what production changes about a table (test_staging_tables.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.drawings import Drawn, shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database

INSERT = "lsn | op | id | city | bio\n0/110 | insert | 4 | Rome |"


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


def test_two_schemas_with_one_name_are_told_apart_by_an_alias(
    tmp_path: Path, warehouse: Database
) -> None:
    shop = Drawn("shop.users", {"id": "integer key"})
    crm = Drawn("crm.users", {"key": "text key"})
    landing = Landing(tmp_path, (shop, crm))
    landing.copy("0/100", {shop: "id\n1", crm: "key\nCRM-1"})
    settings = landing.settings(warehouse, {"crm.users": "legacy_users"})
    apply_pending(settings, SystemClock())
    assert shown(warehouse, "staging.users") == [("1",)]
    assert shown(warehouse, "staging.legacy_users") == [("CRM-1",)]


def test_a_new_alias_renames_the_table_and_keeps_its_rows_and_views(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    warehouse.execute("create schema mine; create view mine.p as select id from staging.people")
    landing.stream("0/200", {PEOPLE: INSERT})
    settings = landing.settings(warehouse, {"shop.people": "persons"})
    apply_pending(settings, SystemClock())
    assert len(shown(warehouse, "staging.persons")) == 4
    assert warehouse.scalar("select count(*) from mine.p") == 4
    assert warehouse.scalar("select to_regclass('staging.people') is null")


def test_a_table_that_left_and_came_back_waits_for_a_copy(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo |", LOG: "at | line"})
    landing.apply(warehouse)
    landing.tables = (PEOPLE,)
    landing.stream("0/200")
    assert list(landing.apply(warehouse).tables) == [PEOPLE.table]
    landing.tables = (PEOPLE, LOG)
    landing.stream("0/300", {LOG: "lsn | op | at | line\n0/210 | insert | 2026-01-01 | late"})
    reason = landing.apply(warehouse).quarantined[LOG.table]
    assert "no copy of it was landed since replica.yaml lists it" in reason
    landing.copy("0/400", {LOG: "at | line\n2026-01-01 | late\n2026-01-01 | missed"})
    assert landing.apply(warehouse).quarantined == {}
    assert len(shown(warehouse, "staging.log")) == 2


def test_a_table_that_somebody_dropped_is_not_made_anew_from_half_of_its_rows(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    warehouse.execute("drop table staging.people")
    landing.stream("0/200", {PEOPLE: INSERT})
    reason = landing.apply(warehouse).quarantined[PEOPLE.table]
    assert "somebody dropped staging.people" in reason
    landing.copy("0/300", {PEOPLE: "id | city | bio\n4 | Rome |"})
    landing.apply(warehouse)
    assert shown(warehouse, "staging.people") == [("4", "Rome", None)]


def test_a_column_that_somebody_dropped_does_not_come_back_empty(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    warehouse.execute("alter table staging.people drop column bio")
    landing.stream("0/200", {PEOPLE: INSERT})
    assert "somebody dropped bio" in landing.apply(warehouse).quarantined[PEOPLE.table]


def test_a_table_of_somebody_else_is_never_replaced(landing: Landing, warehouse: Database) -> None:
    warehouse.execute("create schema staging authorization loader")
    warehouse.execute("create table staging.people (mine int)")
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo |"})
    assert "staging.people that is not ours" in landing.apply(warehouse).quarantined[PEOPLE.table]
    assert warehouse.rows("select * from staging.people") == []
