"""A rebuild makes staging again beside itself, compares exactly, and takes its place unnoticed.

Not here: kills and applies beside it (test_rebuild_crashes.py), any history and position
(properties/test_positions_history.py), the commands' words (test_staging_commands.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.staging.quarantine import TableQuarantined
from analytics_replica.staging.rebuild import Asked
from analytics_replica.staging.side import CannotRebuild
from analytics_replica.staging.upto import NotRetained
from analytics_replica_tests.support.drawings import Drawn, shown
from analytics_replica_tests.support.folded import folded
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.rebuilding import BESIDE, go_on, pictures, rebuilt, stood
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def landing(tmp_path: Path, warehouse: Database) -> Landing:
    return stood(tmp_path, warehouse)


def test_a_rebuild_beside_staging_is_equal_to_it_and_changes_nothing(
    landing: Landing, warehouse: Database
) -> None:
    before = pictures(warehouse)
    oids = warehouse.rows("select oid from pg_class where relnamespace = 'staging'::regnamespace")
    report = rebuilt(landing, warehouse, BESIDE)
    assert report.equal
    assert report.side == "staging_rebuilt"
    assert pictures(warehouse) == pictures(warehouse, "staging_rebuilt") == before
    now = warehouse.rows("select oid from pg_class where relnamespace = 'staging'::regnamespace")
    assert now == oids


def test_a_manipulated_cell_is_found_and_named_and_the_swap_mends_it(
    landing: Landing, warehouse: Database
) -> None:
    before = pictures(warehouse)
    warehouse.execute(
        "update staging.people set city = 'Rom' where id = 1; "
        "delete from staging.people where id = 2; "
        "insert into staging.people values (9, 'x', 'y', '0/1'); "
        "update staging.log set line = 'z' where ctid = (select min(ctid) from staging.log)"
    )
    found = rebuilt(landing, warehouse, BESIDE).differences
    people = found[PEOPLE.table]
    assert (people.other_values, people.only_rebuilt, people.only_in_staging) == (1, 1, 1)
    assert people.keys == (
        (("1",), "differs"),
        (("2",), "only rebuilt"),
        (("9",), "only in staging"),
    )
    log = found[LOG.table]
    assert (log.only_rebuilt, log.only_in_staging, log.keys) == (1, 1, ())
    assert not people.equal
    assert rebuilt(landing, warehouse).swapped
    assert pictures(warehouse) == before
    assert rebuilt(landing, warehouse, BESIDE).equal


def test_a_row_that_is_there_twice_and_a_column_too_many_are_found(
    landing: Landing, warehouse: Database
) -> None:
    warehouse.execute(
        "alter table staging.people drop constraint people_pkey; "
        "insert into staging.people select * from staging.people where id = 1; "
        "alter table staging.log add column extra int"
    )
    found = rebuilt(landing, warehouse, BESIDE).differences
    assert found[PEOPLE.table].only_in_staging == 1
    assert found[LOG.table].columns == ("extra",)
    assert not found[LOG.table].equal
    rebuilt(landing, warehouse)
    assert rebuilt(landing, warehouse, BESIDE).equal


def test_one_table_alone_is_rebuilt_and_no_other_is_touched(
    landing: Landing, warehouse: Database
) -> None:
    warehouse.execute("update staging.people set city = 'wrong'; update staging.log set line = 'w'")
    report = rebuilt(landing, warehouse, Asked(frozenset({PEOPLE.table})))
    assert list(report.tables) == [PEOPLE.table]
    assert [row[1] for row in shown(warehouse, "staging.people")] == ["Rome", "Bergen", "Turku"]
    assert {row[1] for row in shown(warehouse, "staging.log")} == {"w"}


def test_a_swap_keeps_views_their_readers_and_every_privilege(
    landing: Landing, warehouse: Database
) -> None:
    warehouse.execute("drop role if exists swap_reader; create role swap_reader")
    warehouse.execute(
        "create schema gold_a authorization loader; set role loader; "
        "create view gold_a.base with (security_barrier) as select * from staging.people; "
        "create view gold_a.joined as "
        "    select b.city, l.line from gold_a.base b, staging.log l where b.id = 1; "
        "grant select on gold_a.base to swap_reader; "
        "grant select on staging.people to swap_reader with grant option; "
        "grant update (city) on staging.people to public; reset role"
    )
    views = "select oid, relacl::text, reloptions::text from pg_class where relkind = 'v' "
    rights = (
        "select relacl::text, (select string_agg(attname || attacl::text, ',') from pg_attribute "
        "where attrelid = c.oid) from pg_class c where oid = 'staging.people'::regclass"
    )
    mine = f"{views} and relnamespace = 'gold_a'::regnamespace order by oid"
    before = warehouse.rows(mine), warehouse.rows(rights), shown(warehouse, "gold_a.joined")
    warehouse.execute("update staging.people set city = 'wrong'")
    assert rebuilt(landing, warehouse).views_dropped == ()
    after = warehouse.rows(mine), warehouse.rows(rights), shown(warehouse, "gold_a.joined")
    assert after == before
    go_on(landing)
    landing.apply(warehouse)
    assert warehouse.scalar("select count(*) from gold_a.base") == 4
    warehouse.execute("drop owned by swap_reader; drop role swap_reader")


def test_a_view_that_does_not_fit_goes_where_dbt_makes_it_again_and_nowhere_else(
    landing: Landing, warehouse: Database
) -> None:
    warehouse.execute(
        "alter table staging.people add column extra int; "
        "create schema gold_a authorization loader; create schema mine authorization loader; "
        "set role loader; create view gold_a.base as select extra from staging.people"
    )
    assert rebuilt(landing, warehouse).views_dropped == (TableName("gold_a", "base"),)
    warehouse.execute(
        "alter table staging.people add column extra int; "
        "set role loader; create view mine.base as select extra from staging.people"
    )
    with pytest.raises(TableQuarantined, match=r"mine\.base reads it"):
        rebuilt(landing, warehouse)
    assert warehouse.scalar("select count(extra) from mine.base") == 0


def test_what_guards_a_table_is_never_lost_silently(landing: Landing, warehouse: Database) -> None:
    warehouse.execute("alter table staging.people enable row level security")
    with pytest.raises(TableQuarantined, match="row security"):
        rebuilt(landing, warehouse)
    assert warehouse.scalar(
        "select relrowsecurity from pg_class where oid = 'staging.people'::regclass"
    )


def test_staging_that_is_gone_with_its_ledger_comes_back(
    landing: Landing, warehouse: Database
) -> None:
    before = pictures(warehouse)
    warehouse.execute("drop schema staging, ops cascade")
    rebuilt(landing, warehouse)
    assert pictures(warehouse) == before
    go_on(landing)
    assert landing.apply(warehouse).batches == 1
    assert rebuilt(landing, warehouse, BESIDE).equal


def test_a_table_that_stood_still_because_somebody_dropped_it_follows_again(
    landing: Landing, warehouse: Database
) -> None:
    warehouse.execute("drop table staging.people")
    go_on(landing)
    assert list(landing.apply(warehouse).quarantined) == [PEOPLE.table]
    report = rebuilt(landing, warehouse)
    assert "stands still" in report.not_compared[PEOPLE.table]
    assert landing.apply(warehouse).quarantined == {}
    assert rebuilt(landing, warehouse, BESIDE).equal


def test_a_state_of_the_past_stays_beside_staging(landing: Landing, warehouse: Database) -> None:
    before = pictures(warehouse)
    report = rebuilt(
        landing, warehouse, Asked(as_of=Lsn.parse("0/120"), into="earlier", swap=False)
    )
    assert (report.position, report.side) == (Lsn.parse("0/120"), "earlier")
    assert [row[1] for row in shown(warehouse, "earlier.people")] == ["Rome", "Bergen", "Turku"]
    assert shown(warehouse, "earlier.log") == [("2026-01-01", "x")] * 2
    assert pictures(warehouse) == before
    with pytest.raises(CannotRebuild, match="past is not swapped"):
        rebuilt(landing, warehouse, Asked(as_of=Lsn.parse("0/120")))


def test_a_position_before_what_landing_retains_is_refused_with_the_oldest_one(
    landing: Landing, warehouse: Database
) -> None:
    with pytest.raises(NotRetained, match="oldest possible position is 0/100"):
        rebuilt(landing, warehouse, Asked(as_of=Lsn.parse("0/FF"), swap=False))
    go_on(landing)
    landing.apply(warehouse)
    folded(landing, warehouse, 2)
    with pytest.raises(NotRetained, match="oldest possible position is 0/200"):
        rebuilt(landing, warehouse, Asked(as_of=Lsn.parse("0/150"), swap=False))
    report = rebuilt(landing, warehouse, Asked(as_of=Lsn.parse("0/200"), swap=False))
    assert report.tables == {PEOPLE.table: 3, LOG.table: 2}


def test_a_schema_that_no_rebuild_made_is_not_dropped(
    landing: Landing, warehouse: Database
) -> None:
    warehouse.execute("create schema staging_rebuilt; create table staging_rebuilt.mine (n int)")
    with pytest.raises(CannotRebuild, match="no rebuild made"):
        rebuilt(landing, warehouse)
    assert warehouse.scalar("select count(*) from staging_rebuilt.mine") == 0
    for taken in ("staging", "gold_a", "ops"):
        with pytest.raises(CannotRebuild, match="cannot be the side schema"):
            rebuilt(landing, warehouse, Asked(into=taken, swap=False))


def test_awkward_names_are_rebuilt_compared_and_swapped(
    tmp_path: Path, warehouse: Database
) -> None:
    quoted = '"Ort ""3"" %s Ä"'
    key, column = 'K"ey {x}', "_own; drop"
    odd = Drawn(f"shop.{quoted}", {key: "bigint key", column: "text"})
    landing = Landing(tmp_path, (odd,))
    landing.copy("0/100", {odd: f"{key} | {column}\n1 | a\n2 | b"})
    landing.apply(warehouse)
    with warehouse.session() as cursor:
        cursor.execute(
            "create schema gold_b authorization loader; set role loader; "
            f"create view gold_b.v as select * from staging.{quoted}; "
            f'update staging.{quoted} set "_own; drop" = null where "K""ey {{x}}" = 2'
        )
    report = rebuilt(landing, warehouse, Asked(into='be "side" ß'))
    assert report.differences[odd.table].keys == ((("2",), "differs"),)
    assert shown(warehouse, "gold_b.v") == [("1", "a"), ("2", "b")]
