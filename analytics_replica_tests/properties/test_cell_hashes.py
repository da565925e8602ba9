"""Numbers of cells: what is computed over Arrow is what PostgreSQL computes, for every value.

Oracle: PostgreSQL's own hash functions on the same values.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_replica.domain.tables import Column, TableName
from analytics_replica.postgres.connect import connection
from analytics_replica.postgres.identifiers import compose, name
from analytics_replica.postgres.types import from_text
from analytics_replica.staging.reconciliation.cells import HeldColumn
from analytics_replica_tests.support.drawings import Drawn
from analytics_replica_tests.support.servers import Database

LONGS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.times().map(str)
DOUBLES = st.floats(width=64) | st.sampled_from([0.0, -0.0, float("inf"), -float("inf")])
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
DATES = st.dates().map(str)
STAMPS = st.datetimes().map(str)


def decimals(digits: int, scale: int) -> st.SearchStrategy[str]:
    most = 10**digits - 1
    return st.one_of(
        st.integers(-most, most),
        st.sampled_from([0, 1, -1, min(10**scale, most), min(10_000, most), most, -most]),
        st.integers(0, digits - 1).map(lambda n: int(10**n)),
    ).map(lambda n: printed(n, scale))


def printed(unscaled: int, scale: int) -> str:
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    point = f"{digits[: len(digits) - scale]}.{digits[len(digits) - scale :]}".rstrip(".")
    return f"{'-' if unscaled < 0 else ''}{point}"


TYPES: dict[str, st.SearchStrategy[str]] = {
    "smallint": st.integers(-(2**15), 2**15 - 1).map(str),
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "bigint": LONGS.map(str),
    "boolean": st.sampled_from(["t", "f"]),
    "real": st.floats(width=32).map(lambda f: repr(float(np.float32(f)))),
    "double precision": DOUBLES.map(repr),
    "numeric(12,2)": decimals(12, 2),
    "numeric(5,0)": decimals(5, 0),
    "numeric(18,15)": decimals(18, 15),
    "numeric(18,5)": decimals(18, 5),
    "numeric(3,3)": decimals(3, 3),
    "date": DATES,
    "time without time zone": TIMES,
    "timestamp without time zone": STAMPS,
    "timestamp with time zone": STAMPS.map(lambda text: f"{text}+00"),
    "uuid": st.uuids().map(str),
    "text": TEXTS,
    "character varying": TEXTS,
    "character(40)": st.text("ab c", max_size=40).map(lambda text: text.ljust(40)),
    "bytea": st.binary().map(lambda data: "\\x" + data.hex()),
    "numeric": decimals(30, 7),
    "json": TEXTS.map(lambda text: '{"a": "' + text.encode("unicode_escape").hex() + '"}'),
    # Those with an IPv4 address inside PostgreSQL prints otherwise than Python does.
    "inet": st.ip_addresses().filter(lambda ip: ip.version == 4 or int(ip) >> 64).map(str),
    "interval": st.integers(0, 23).map(lambda hours: f"{hours:02}:00:00"),
    "integer[]": st.lists(st.integers(0, 9)).map(lambda ns: "{" + ",".join(map(str, ns)) + "}"),
}


def held(kind: str, database: Database) -> HeldColumn:
    ours, out = database.rows(
        "select t.typname::text, p.proname::text from pg_type t "
        "join pg_proc p on p.oid = t.typoutput where t.oid = %s::regtype",
        (kind,),
    )[0]
    del ours
    server = int(database.scalar("show server_version_num"))
    function = TableName("pg_catalog", out)
    return HeldColumn("c", kind, TableName("pg_catalog", kind), function, server)


def by_postgres(
    database: Database, column: HeldColumn, texts: list[str | None], seeds: list[int]
) -> list[int]:
    value = compose("(t.v::{type})", type=column.spelled)
    hashed = column.hashed(value, name("s"))
    with connection(database.dsn()) as opened, opened.cursor() as cursor:
        cursor.execute(
            f"select coalesce({hashed}, 0) from unnest(%s::text[], %s::bigint[]) "
            "with ordinality t(v, s, n) order by n",
            (texts, seeds),
        )
        return [row[0] % 2**64 for row in cursor.fetchall()]


def landed(kind: str, texts: list[str | None]) -> tuple[Column, pa.Array]:
    (described,) = Drawn("a.b", {"c": kind}).landed()
    if kind == "bytea":  # hashed as the text that PostgreSQL prints
        return described.column, pa.array(texts, pa.string())
    values, exact = from_text(described.column, pa.array(texts, pa.string()))
    assert exact is None
    return described.column, values


@pytest.mark.parametrize("kind", TYPES)
def test_a_value_has_one_number_on_both_sides(kind: str, warehouse: Database) -> None:
    column = held(kind, warehouse)

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.none() | TYPES[kind], LONGS | st.just(0)), min_size=1))
    def judged(cells: list[tuple[str | None, int]]) -> None:
        texts, seeds = [text for text, _ in cells], [seed for _, seed in cells]
        _, values = landed(kind, texts)
        assert column.takes(values.type)
        ours = column.hashes(values, np.array(seeds, np.int64).view(np.uint64))
        assert ours is not None
        assert ours.tolist() == by_postgres(warehouse, column, texts, seeds)

    judged()
