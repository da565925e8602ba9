"""Staging's tables: their types and names, and how they follow production's changes of both.

Not here: which rows they hold (test_staging_apply.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.landed import Drawn, Landing, shown, table
from analytics_replica_tests.support.servers import Database

VALUES = {
    "boolean": ["t", "f"],
    "smallint": ["-32768", "32767"],
    "integer": ["-2147483648", "0"],
    "bigint": ["9223372036854775807", "-1"],
    "real": ["1.1", "-0", "NaN", "-Infinity", "1e-45"],
    "double precision": ["1.1", "-0", "Infinity", "5e-324"],
    "numeric(10,2)": ["12345678.90", "NaN", "-0.01"],
    "numeric": ["1.50", "1.5", "Infinity", "1" * 60 + ".5", "NaN"],
    "text": ["x", "''", "naïve 🐘", "a\\b'c\"d"],
    "character varying(5)": ["abcde", "''"],
    "character(4)": ["abcd"],
    "bytea": ["\\x00ff", "\\x"],
    "date": ["2026-01-31", "infinity", "-infinity", "0044-03-15 BC", "12026-01-01"],
    "time without time zone": ["23:59:59.999999", "24:00:00", "00:00:00"],
    "timestamp without time zone": ["2026-01-31 23:59:59.5", "infinity", "0044-03-15 12:00:00 BC"],
    "timestamp(3) without time zone": ["2026-01-31 23:59:59.5"],
    "timestamp with time zone": [
        "2026-01-31 23:59:59.5+00",
        "-infinity",
        "12026-01-01 00:00:00+00",
    ],
    "interval": ["1 mon 2 days 03:04:05.6", "-00:00:01"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "json": ['{"b":1,  "a" : 1.50}', "null"],
    "jsonb": ['{"a": 1.50, "b": "ä"}', "[1, 2]", '"text"'],
    "point": ["(1.5,2)"],
    "inet": ["192.168.0.0/24", "::1"],
    "integer[]": ["{1,NULL,3}", "[2:3]={1,2}", "{}"],
    "shop.mood": ["so so"],
}


def types(warehouse: Database, name: str) -> dict[str, str]:
    rows = warehouse.rows(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        (name,),
    )
    return dict(rows)


@pytest.mark.parametrize("kind", VALUES)
def test_staging_prints_every_value_as_production_does(
    kind: str, tmp_path: Path, warehouse: Database
) -> None:
    values = Drawn("shop.values", {"id": "integer key", "value": kind})
    landing = Landing(tmp_path, (values,))
    rows = "\n".join(f"{i} | {value}" for i, value in enumerate([*VALUES[kind], ""]))
    landing.copy("0/100", {values: f"id | value\n{rows}"})
    landing.apply(warehouse)
    first = shown(warehouse, "staging.values")
    # The other way into staging: through the temporary table, and by update.
    changes = [f"0/110 | update | {i} | {v}" for i, v in enumerate(["", *VALUES[kind]])]
    landing.stream("0/200", {values: "\n".join(["lsn | op | id | value", *changes])})
    report = landing.apply(warehouse)
    expected = [value.strip("'") if value == "''" else value for value in VALUES[kind]]
    assert [value for _, value in first] == [*expected, None]
    found = [value for _, value in shown(warehouse, "staging.values")]
    assert found == [None, *expected]
    assert report.tables[values.table].inserted == 0
    assert types(warehouse, "staging.values")["value"] == ("text" if "mood" in kind else kind)


def test_only_differences_of_value_are_written_and_all_of_them(
    tmp_path: Path, warehouse: Database
) -> None:
    amounts = Drawn("shop.amounts", {"id": "integer key", "a": "numeric", "j": "json"})
    landing = Landing(tmp_path, (amounts,))
    landing.copy("0/100", {amounts: 'id | a | j\n1 | 1.0 | {"a":1}\n2 | 1.0 | {"a":1}\n3 | |'})
    landing.apply(warehouse)
    changes = """
    lsn   | op     | id | a    | j
    0/110 | update |  1 | 1.0  | {"a":1}
    0/110 | update |  2 | 1.00 | {"a":1}
    0/110 | update |  3 |      | null
    """
    landing.stream("0/200", {amounts: changes})
    assert landing.apply(warehouse).tables[amounts.table].updated == 2
    assert shown(warehouse, "staging.amounts") == [
        ("1", "1.0", '{"a":1}'),
        ("2", "1.00", '{"a":1}'),
        ("3", None, "null"),
    ]


AWKWARD = Drawn(
    '"My Shop"."Sélect ""Orders"" 100%"',
    {
        "user": "bigint key",
        'a "b"': "text",
        "c.d": "numeric(4,1)",
        "%s {x} $1 ; --": "date",
        "c0": "text",
        "live": "boolean",
        "é" * 31: "jsonb",
    },
)


def test_names_of_any_legal_form_are_kept(tmp_path: Path, warehouse: Database) -> None:
    landing = Landing(tmp_path, (AWKWARD,))
    head = " | ".join(AWKWARD.columns)
    first = "1 | x | NaN | 2026-01-01 | l | t | [1]"
    landing.copy("0/100", {AWKWARD: f"{head}\n{first}\n2 | y | 2.0 | infinity | | |"})
    landing.apply(warehouse)
    name = 'staging."Sélect ""Orders"" 100%"'
    assert list(types(warehouse, name))[: len(AWKWARD.columns)] == list(AWKWARD.columns)
    assert shown(warehouse, name) == [
        ("1", "x", "NaN", "2026-01-01", "l", "t", "[1]"),
        ("2", "y", "2.0", "infinity", None, None, None),
    ]
    changes = (
        f"lsn | op | {head}\n0/110 | delete | 2 | | | | | |\n0/110 | move | 3 | ~ | -1.5 | | | |"
    )
    landing.stream("0/200", {AWKWARD: changes})
    landing.apply(warehouse)
    assert shown(warehouse, name)[1] == ("3", "y", "-1.5", None, None, None, None)


def test_special_values_identify_rows_as_production_has_them(
    tmp_path: Path, warehouse: Database
) -> None:
    days = Drawn("shop.days", {"day": "date key", "part": "numeric key", "n": "integer"})
    landing = Landing(tmp_path, (days,))
    landing.copy("0/100", {days: "day | part | n\ninfinity | 1.0 | 1\n2026-01-01 | NaN | 2"})
    landing.apply(warehouse)
    changes = """
    lsn   | op     | day        | part | n
    0/110 | update | infinity   | 1.0  | 10
    0/120 | delete | 2026-01-01 | NaN  |
    0/120 | move   | -infinity  | NaN  | 20
    0/130 | delete | infinity   | 1.0  |
    0/130 | move   | infinity   | 1.00 | 11
    """
    landing.stream("0/200", {days: changes})
    landing.apply(warehouse)
    assert shown(warehouse, "staging.days") == table("""
        day       | part | n
        infinity  | 1.00 | 11
        -infinity | NaN  | 20
    """)


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


def test_a_table_of_somebody_else_is_never_replaced(tmp_path: Path, warehouse: Database) -> None:
    drawn = Drawn("shop.t", {"id": "bigint key"})
    landing = Landing(tmp_path, (drawn,))
    warehouse.execute("create schema staging authorization loader; create table staging.t (x int)")
    landing.copy("0/100", {drawn: "id\n1"})
    assert "staging.t that is not ours" in landing.apply(warehouse).quarantined[drawn.table]
    assert list(types(warehouse, "staging.t")) == ["x"]


def test_a_type_that_the_warehouse_cannot_store_stops_its_table_and_no_other(
    tmp_path: Path, warehouse: Database
) -> None:
    # The embedded server was built without libxml, as some warehouses are.
    strange, other = (Drawn("shop.x", {"x": "xml"}), Drawn("shop.y", {"id": "integer key"}))
    landing = Landing(tmp_path, (strange, other))
    landing.copy("0/100", {strange: "x\n<a>secret</a>", other: "id\n1"})
    report = landing.apply(warehouse)
    assert list(report.quarantined) == [strange.table]
    assert "SQLSTATE 0A000" in report.quarantined[strange.table]
    assert "secret" not in report.quarantined[strange.table]
    assert shown(warehouse, "staging.y") == [("1",)]
