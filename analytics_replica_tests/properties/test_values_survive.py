"""Every value that production prints arrives as production prints it.

Oracle: PostgreSQL prints the value in production, and again after our types held it.
Known gaps: xml is not here, because the embedded server is built without libxml; user-defined
types are text in staging by design.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica.postgres.type_names import type_name
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

VALUES: dict[str, list[str]] = {
    "bool": ["t", "f"],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648"],
    "int8": ["9223372036854775807"],
    "oid": ["4294967295"],
    "float4": ["1.1", "3.4028235e38", "NaN", "-Infinity", "1e-45"],
    "float8": ["0.1", "1e-308", "5e-324", "1.7976931348623157e308", "NaN", "Infinity", "-0"],
    "numeric": ["NaN", "Infinity", "-Infinity", "1" + "0" * 200 + ".5", "0.000", "-1.50"],
    "numeric(10,2)": ["NaN", "99999999.99", "-0.01", "0"],
    "numeric(38,10)": ["1234567890123456789012345678.0123456789"],
    "numeric(50,5)": ["123456789012345678901234567890123456789012345.12345"],
    "money": ["12345678.90"],
    "text": ["", "O'Brien", 'quote " comma ,', "tab\tnew\nline\r", "\\x41", "日本 ü 🎉", "\\N"],
    "varchar(10)": ["ten chars!"],
    "char(5)": ["ab"],
    "bytea": ["\\x", "\\x00ff10", "\\x5c6e"],
    "date": ["2026-11-21", "infinity", "-infinity", "0044-03-15 BC", "5874897-12-31"],
    "time": ["00:00:00", "23:59:59.999999", "24:00:00"],
    "timetz": ["12:00:00+05:30", "24:00:00-08"],
    "timestamp": [
        "2026-11-21 10:00:00.123456",
        "infinity",
        "294276-12-31 23:59:59.999999",
        "4713-01-01 00:00:00 BC",
    ],
    "timestamptz": ["2026-11-21 10:00:00.5+02", "-infinity", "0001-01-01 00:00:00+00 BC"],
    "timestamp(0)": ["2026-11-21 10:00:00"],
    "interval": ["1 year -2 mons +3 days 04:05:06.789", "-178000000 years"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "json": ['{"a" : 1,  "a": 2}'],
    "jsonb": ['{"n": 12345678901234567890.123456789, "u": "\\u00e9"}', "null"],
    "inet": ["192.168.0.1/24", "::1"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "bit(3)": ["101"],
    "varbit": ["10101"],
    "point": ["(1.5,-2)"],
    "int4range": ["[1,10)", "empty", "(,5)"],
    "tstzmultirange": ["{[2020-01-01 00:00:00+00,2021-01-01 00:00:00+00)}"],
    "int4[]": ["{1,NULL,3}", "{}", "[0:1]={7,8}", "{{1,2},{3,4}}"],
    "text[]": ['{"a,b","c\\"d",NULL,"NULL",""}'],
    "tsvector": ["'cat':1 'dog':2"],
    "pg_lsn": ["16/B374D848"],
}


@pytest.fixture(scope="module")
def awkward_sessions() -> str:
    return (
        "set timezone = 'Asia/Kathmandu'; set datestyle = 'German'; set intervalstyle = 'iso_8601'"
    )


def test_every_type_lands_as_production_prints_it_in_the_first_copy_and_in_the_stream(
    production: Database,
    warehouse: Database,
    pipeline: Callable[..., Pipeline],
    awkward_sessions: str,
) -> None:
    columns = {f"c{n}": kind for n, kind in enumerate(VALUES)}
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    production.execute(f"create table wide (id int primary key, {declared})")
    production.execute(f"alter database {production.name} set timezone = 'Asia/Kathmandu'")
    production.execute(f"alter database {production.name} set extra_float_digits = 0")
    production.execute(f"alter database {production.name} set datestyle = 'German, DMY'")
    longest = max(len(values) for values in VALUES.values())

    def insert(first: int) -> None:
        for n in range(longest):
            row = [values[n % len(values)] for values in VALUES.values()]
            marks = ", ".join("%s" for _ in row)
            production.execute(
                f"{awkward_sessions}; set datestyle = 'ISO'; insert into wide values (%s, {marks})",
                (first + n, *row),
            )
        production.execute("insert into wide (id) values (%s)", (first + longest,))

    insert(0)
    made = pipeline({"public.wide": dict.fromkeys(("id", *columns), "keep")})
    made.prepare()
    made.capture()
    insert(100)
    made.capture()
    for name, kind in columns.items():
        landed = _landed_texts(made, warehouse, name, kind)
        with production.session() as cursor:
            cursor.execute(
                "set local timezone = 'UTC'; set local datestyle = 'ISO'; "
                "set local extra_float_digits = 1; set local intervalstyle = 'postgres'"
            )
            cursor.execute(f"select {name}::text from wide order by id")
            assert landed == [row[0] for row in cursor.fetchall()], kind


def _landed_texts(made: Pipeline, warehouse: Database, name: str, kind: str) -> list[str | None]:
    """What landing holds of a column, printed by PostgreSQL as the column's own type."""
    has_exact = kind.partition("(")[0] in ("date", "time", "timestamp", "timestamptz") or (
        kind.startswith("numeric(") and kind != "numeric(50,5)"
    )
    exact = f'"_replica_exact.{name}"' if has_exact else "null"
    plain = f"to_hex({name})" if kind == "bytea" else f"{name}::varchar"
    rows = made.landed("public.wide", f"coalesce({exact}, {plain}) as v")
    texts = [
        None if value is None else ("\\x" + value.lower() if kind == "bytea" else value)
        for (value,) in rows
    ]
    with warehouse.session() as cursor:
        cursor.execute("set local timezone = 'UTC'")
        cursor.execute(
            f"select x::{kind}::text from unnest(%s::text[]) with ordinality u(x, n) order by n",
            (texts,),
        )
        return [row[0] for row in cursor.fetchall()]


def test_our_names_of_built_in_types_are_the_servers(production: Database) -> None:
    rows = production.rows(
        """
        select distinct on (1, 2) t.oid::int, m.modifier, format_type(t.oid, m.modifier)
        from pg_type t
        cross join lateral (values (-1), (case t.oid::int
            when 1042 then 9 when 1043 then 24 when 1700 then 655366 when 1560 then 3
            when 1562 then 5 when 1083 then 3 when 1114 then 0 when 1184 then 6 when 1266 then 2
            else -1 end)) m(modifier)
        where t.oid < 16384 and t.typtype in ('b', 'r', 'm')
        """
    )
    ours = {(oid, modifier): type_name(oid, modifier) for oid, modifier, _ in rows}
    theirs = {(oid, modifier): name for oid, modifier, name in rows}
    known = {key for key, name in ours.items() if not name.startswith("user type")}
    assert {key: ours[key] for key in known} == {key: theirs[key] for key in known}
    assert len(known) > 100
