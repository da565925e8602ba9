"""Staging holds every value and every name exactly as production has it.

Not here: how tables follow changes of types (test_staging_tables.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica_tests.support.drawings import Drawn, shown, table
from analytics_replica_tests.support.landed import Landing
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
