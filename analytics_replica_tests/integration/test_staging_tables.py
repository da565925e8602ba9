"""Staging's tables: how they are made, and how they follow production's changes of columns.

Not here: values (test_staging_values.py), which rows they hold (test_staging_last_states.py).
"""

from __future__ import annotations

from pathlib import Path

from analytics_replica_tests.support.drawings import Drawn, shown, table
from analytics_replica_tests.support.landed import Landing
from analytics_replica_tests.support.servers import Database


def types(warehouse: Database, name: str) -> dict[str, str]:
    rows = warehouse.rows(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        (name,),
    )
    return dict(rows)


def test_a_table_has_its_primary_key_and_says_what_it_is(
    tmp_path: Path, warehouse: Database
) -> None:
    lines = Drawn("shop.lines", {"order_id": "uuid key", "n": "smallint", "no": "smallint key"})
    landing = Landing(tmp_path, (lines,))
    landing.copy("0/100", {lines: "order_id | n | no"})
    landing.apply(warehouse)
    key = "select pg_get_constraintdef(oid) from pg_constraint where contype = 'p' and conrelid = "
    assert warehouse.scalar(key + "'staging.lines'::regclass") == "PRIMARY KEY (order_id, no)"
    about = warehouse.scalar("select obj_description('staging.lines'::regclass)")
    assert about.startswith("Masked current state of shop.lines.")
    assert list(types(warehouse, "staging.lines").items())[3:] == [
        ("_replica_lsn", "pg_lsn"),
        ("_replica_committed_at", "timestamp with time zone"),
    ]


NARROW = {"id": "smallint key", "n": "integer", "r": "real", "v": "character varying(3)",
          "d": "numeric(4,1)"}  # fmt: skip
WIDE = {"id": "bigint key", "n": "bigint", "r": "double precision", "v": "text",
        "d": "numeric(8,2)"}  # fmt: skip


def test_a_type_that_widens_in_production_widens_in_staging(
    tmp_path: Path, warehouse: Database
) -> None:
    before, after = Drawn("shop.t", NARROW), Drawn("shop.t", WIDE)
    landing = Landing(tmp_path, (before,))
    landing.copy("0/100", {before: "id | n | r | v | d\n1 | 2 | 1.5 | abc | 1.5\n2 | | | |"})
    landing.apply(warehouse)
    same_window = "lsn | op | id | n | r | v | d\n0/110 | insert | 3 | 3 | 0.5 | x | 2.5"
    landing.stream("0/200", {before: same_window})
    wide = "0/210 | insert | 5000000000 | 5000000000 | 1e300 | abcdef | 123456.78"
    landing.stream("0/300", {after: f"lsn | op | id | n | r | v | d\n{wide}"})
    assert landing.apply(warehouse).quarantined == {}
    assert list(types(warehouse, "staging.t").values())[:5] == [
        kind.removesuffix(" key") for kind in WIDE.values()
    ]
    assert shown(warehouse, "staging.t") == table("""
        id         | n          | r      | v      | d
        1          | 2          | 1.5    | abc    | 1.50
        2          |            |        |        |
        3          | 3          | 0.5    | x      | 2.50
        5000000000 | 5000000000 | 1e+300 | abcdef | 123456.78
    """)


def test_views_of_the_editions_give_way_to_a_wider_type_and_others_do_not(
    tmp_path: Path, warehouse: Database
) -> None:
    before, after = Drawn("shop.t", NARROW), Drawn("shop.t", WIDE)
    landing = Landing(tmp_path, (before,))
    landing.copy("0/100", {before: "id | n | r | v | d\n1 | 2 | 1.5 | abc | 1.5"})
    landing.apply(warehouse)
    warehouse.execute(
        "create schema gold_a; create view gold_a.base_t as select * from staging.t; "
        "create view gold_a.int_t as select * from gold_a.base_t; "
        "create schema mine; create view mine.t as select n from gold_a.int_t; "
        "alter schema gold_a owner to loader; alter view gold_a.base_t owner to loader; "
        "alter view gold_a.int_t owner to loader"
    )
    landing.stream("0/300", {after: "lsn | op | id | n | r | v | d\n0/210 | insert | 7 | 7 | | |"})
    reason = landing.apply(warehouse).quarantined[before.table]
    assert "mine.t reads it" in reason
    assert types(warehouse, "staging.t")["n"] == "integer"
    warehouse.execute("drop view mine.t")
    landing.stream("0/400")
    assert landing.apply(warehouse).quarantined == {}
    assert types(warehouse, "staging.t")["n"] == "bigint"
    assert warehouse.scalar("select to_regclass('gold_a.base_t') is null")
    assert warehouse.scalar("select count(*) from staging.t") == 2


def test_a_type_that_narrows_stops_its_table_before_anything_changes(
    tmp_path: Path, warehouse: Database
) -> None:
    before, after = Drawn("shop.t", WIDE), Drawn("shop.t", NARROW)
    other = Drawn("shop.other", {"id": "integer key"})
    landing = Landing(tmp_path, (before, other))
    landing.copy("0/100", {before: "id | n | r | v | d\n1 | 2 | 1.5 | abc | 1.5", other: "id"})
    landing.apply(warehouse)
    landing.stream(
        "0/200",
        {
            after: "lsn | op | id | n | r | v | d\n0/110 | insert | 7 | 7 | | |",
            other: "lsn | op | id\n0/110 | insert | 1",
        },
    )
    report = landing.apply(warehouse)
    assert report.quarantined == {
        before.table: "shop.t.id: the type changed from bigint to smallint."
    }
    assert len(shown(warehouse, "staging.t")) == 1
    assert shown(warehouse, "staging.other") == [("1",)]


def test_a_copy_may_bring_any_types_and_any_key(tmp_path: Path, warehouse: Database) -> None:
    before = Drawn("shop.t", {"id": "bigint key", "n": "text"})
    after = Drawn("shop.t", {"id": "text", "n": "integer key"})
    landing = Landing(tmp_path, (before,))
    landing.copy("0/100", {before: "id | n\n1 | x"})
    landing.apply(warehouse)
    landing.copy("0/200", {after: "id | n\nx | 1"})
    assert landing.apply(warehouse).quarantined == {}
    assert shown(warehouse, "staging.t") == [("x", "1")]


def test_a_key_that_changes_in_the_stream_stops_its_table(
    tmp_path: Path, warehouse: Database
) -> None:
    before = Drawn("shop.t", {"id": "bigint key", "n": "integer"})
    after = Drawn("shop.t", {"id": "bigint key", "n": "integer key"})
    landing = Landing(tmp_path, (before,))
    landing.copy("0/100", {before: "id | n\n1 | 1"})
    landing.apply(warehouse)
    landing.stream("0/200", {after: "lsn | op | id | n\n0/110 | insert | 1 | 2"})
    reason = landing.apply(warehouse).quarantined[before.table]
    assert "its key changed from (id) to (id, n)" in reason


def test_a_new_column_is_added_and_a_vanished_one_stays_empty_for_new_rows(
    tmp_path: Path, warehouse: Database
) -> None:
    before = Drawn("shop.t", {"id": "bigint key", "old": "text", "a": "text"})
    after = Drawn("shop.t", {"id": "bigint key", "a": "text", "new": "numeric(4,1)"})
    landing = Landing(tmp_path, (before,))
    landing.copy("0/100", {before: "id | old | a\n1 | o | x\n2 | o | x"})
    landing.apply(warehouse)
    changes = "lsn | op | id | a | new\n0/110 | update | 2 | y | 1.5\n0/120 | insert | 3 | z | NaN"
    landing.stream("0/200", {after: changes})
    landing.apply(warehouse)
    found = warehouse.rows("select id, old, a, new::text from staging.t order by id")
    assert found == [(1, "o", "x", None), (2, None, "y", "1.5"), (3, None, "z", "NaN")]
