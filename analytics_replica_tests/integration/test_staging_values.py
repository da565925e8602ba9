"""Staging holds every value and every name exactly as production has it.

Not here: how tables follow changes of types (test_staging_tables.py).
"""

from __future__ import annotations

from pathlib import Path

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


def test_staging_prints_every_value_as_production_does(tmp_path: Path, warehouse: Database) -> None:
    tables = {
        kind: Drawn(f"shop.t{number}", {"id": "integer key", "value": kind})
        for number, kind in enumerate(VALUES)
    }
    landing = Landing(tmp_path, tuple(tables.values()))
    rows = {kind: [*values, ""] for kind, values in VALUES.items()}
    landing.copy("0/100", {tables[kind]: _numbered("id | value", rows[kind]) for kind in VALUES})
    assert landing.apply(warehouse).quarantined == {}
    assert _held(warehouse, tables) == {k: [*_printed(v), None] for k, v in VALUES.items()}
    # The other way into staging: through the temporary table, and by update.
    rows = {kind: [f"0/110 | update | {i} | {value}" for i, value in enumerate(["", *values])]
            for kind, values in VALUES.items()}  # fmt: skip
    head = "lsn | op | id | value"
    landing.stream("0/200", {tables[k]: "\n".join([head, *changes]) for k, changes in rows.items()})
    report = landing.apply(warehouse)
    assert _held(warehouse, tables) == {k: [None, *_printed(v)] for k, v in VALUES.items()}
    assert {table.inserted for table in report.tables.values()} == {0}


def test_staging_has_productions_types_and_text_for_those_that_somebody_created(
    tmp_path: Path, warehouse: Database
) -> None:
    columns = {f"c{number}": kind for number, kind in enumerate(VALUES)}
    wide = Drawn("shop.wide", columns)
    landing = Landing(tmp_path, (wide,))
    landing.copy("0/100", {wide: " | ".join(columns)})
    landing.apply(warehouse)
    expected = {c: "text" if kind == "shop.mood" else kind for c, kind in columns.items()}
    found = types(warehouse, "staging.wide")
    assert {name: found[name] for name in columns} == expected


def _numbered(head: str, cells: list[str]) -> str:
    return "\n".join([head, *(f"{number} | {cell}" for number, cell in enumerate(cells))])


def _printed(cells: list[str]) -> list[str]:
    return ["" if cell == "''" else cell for cell in cells]


def _held(warehouse: Database, tables: dict[str, Drawn]) -> dict[str, list[str | None]]:
    return {
        kind: [value for _, value in shown(warehouse, f"staging.{drawn.table.name}")]
        for kind, drawn in tables.items()
    }


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
