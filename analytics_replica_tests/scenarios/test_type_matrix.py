"""Every type of PostgreSQL arrives as production prints it, on every way, on every path.

Oracle: PostgreSQL. `column::text` in production and in staging, asked in the same session settings;
and the landed files, read by DuckDB and by pyarrow, rendered as docs/reference/types.md says.
Known gaps: a domain over, or a composite with, a type that is refused is not recognised as such.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import DemoError, PolicyViolation
from analytics_replica.landing.manifest import manifests
from analytics_replica.masking.policy import Policy
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import connection
from analytics_replica.postgres.type_names import type_name
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support import type_matrix as matrix
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.rendering import duckdb_text, printed, pyarrow_texts
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

HOSTILE = {
    "timezone": "Asia/Kathmandu",
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "0",
    "bytea_output": "escape",
    "lc_monetary": "C.utf8",
    "xmloption": "content",
}
STATISTICS = """
create table measured as select n % 5 as a, n % 10 as b from generate_series(1, 1000) n;
create statistics (ndistinct, dependencies, mcv) on a, b from measured;
analyze measured;
alter table measured alter a set default 1 + 1;
"""

PRINTED_BY_TYPE = ("real", "double precision", "character(5)", "bpchar", "inet")
"""Any exact reader has the float; of the others a cast to text prints another text than the log."""

Columns = dict[str, str]
Texts = dict[str, list[str | None]]


def test_every_type_of_the_server_is_in_the_matrix_or_refused(production: Database) -> None:
    present = {
        name
        for (name,) in production.rows(
            # Up to 9999 an OID is the same on every server (FirstGenbkiObjectId).
            "select format_type(oid, -1) from pg_type where oid < 10000 and typtype in "
            "('b', 'r', 'm', 'e', 'd')"
        )
        if not name.endswith("[]")
    }
    modifiers = {"bit": '"bit"', "character": "bpchar"}
    covered = {_base(kind) for kind in (*matrix.BUILT_IN, *matrix.NEEDS_LIBXML)}
    covered = {modifiers.get(kind, kind) for kind in covered}
    assert present - covered == matrix.REFUSED | matrix.ONLY_PRINTED
    assert covered - present == set()


def test_our_names_of_types_with_modifiers_are_the_servers(production: Database) -> None:
    kinds = [*matrix.BUILT_IN, *matrix.ARRAYS, "interval(2)", "interval hour to minute",
             "interval month", "interval second(0)", "interval year to month[]",
             "timestamp(2) with time zone[]", "time(1) with time zone", "bit(7)[]"]  # fmt: skip
    declared = ", ".join(f"c{n} {kind}" for n, kind in enumerate(kinds))
    production.execute(f"create table named ({declared})")
    rows = production.rows(
        "select atttypid::int, atttypmod, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = 'named'::regclass and attnum > 0"
    )
    assert [type_name(oid, modifier) for oid, modifier, _ in rows] == [row[2] for row in rows]


def test_every_value_of_every_type_arrives_as_production_prints_it(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(matrix.OUR_OWN + STATISTICS)
    taken = {kind: [f"={query}"] for kind, query in matrix.FROM_CATALOG.items()}
    made = pipeline({})
    _judge(made, matrix.BUILT_IN | matrix.ARRAYS | matrix.CREATED | taken)
    here, there = _types(production, "wide"), _types(made.warehouse, "staging.wide")
    text = {kind for name, kind in here.items() if there[name] == "text"} - {"text"}
    bases = {_base(kind.removesuffix("[]")) for kind in text}
    assert bases == {_base(k.removesuffix("[]")) for k in (*matrix.ONLY_TEXT, *taken)}
    own = {n: kind for n, kind in here.items() if _base(kind.removesuffix("[]")) in matrix.OWN}
    assert {there[n] for n in own} == {_in_staging(kind) for kind in own.values()}
    others = here.keys() - own.keys() - {n for n, kind in here.items() if kind in text}
    assert {n: there[n] for n in others} == {n: here[n] for n in others}


@pytest.mark.parametrize("rule", ["keep", {"mask": "token", "domain": "d"}], ids=str)
def test_types_that_cannot_work_are_refused_before_any_row_is_read(
    production: Database, pipeline: Callable[..., Pipeline], rule: object
) -> None:
    kinds = [kind for name in sorted(matrix.REFUSED) for kind in (name, f"{name}[]")]
    declared = ", ".join(f"c{n} {kind}" for n, kind in enumerate(kinds))
    production.execute(f"create table t (id int primary key, {declared})")
    made = pipeline({"public.t": {"id": "keep"} | {f"c{n}": rule for n in range(len(kinds))}})
    made.prepare()
    with pytest.raises(PolicyViolation, match=r"public\.t\.c0 .* names in production's catalog"):
        made.capture()
    assert list(manifests(made.store)) == []
    with connection(production.dsn()) as opened:
        (table,) = read_tables(opened, {TableName("public", "t")}).values()
    refused = [fault.column for fault in Policy.from_settings(made.settings).faults(table)]
    assert refused == [column.name for column in table.columns[1:]]


def test_xml_arrives_as_production_prints_it() -> None:
    try:
        programs = binaries_of(15)
    except DemoError as absent:
        pytest.skip(f"needs a server with libxml: {absent.what}")
    with running_server(bin_dir=programs) as server:
        admin = Database(server, "postgres")
        admin.execute("create role analytics_replica login replication; create role loader login")
        with (
            fresh_database(server, "production") as production,
            fresh_database(server, "warehouse", owner="loader") as warehouse,
        ):
            root = open_directory()
            made = Pipeline(root, production, warehouse, {})
            try:
                _judge(made, matrix.NEEDS_LIBXML)
            finally:
                shutil.rmtree(root)


def _judge(made: Pipeline, values: dict[str, list[str]]) -> None:
    """Sends the values through copy, insert and update; compares all of it with production."""
    kinds, cells = _columns(values)
    made.tables["public.wide"] = dict.fromkeys(("id", *kinds), "keep")
    declared = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    made.production.execute(f"create table wide (id int primary key, {declared})")
    _make_hostile(made.production)
    _insert(made.production, cells, first=0)
    made.prepare()
    made.capture()
    _compare(made, kinds)
    _insert(made.production, cells, first=100)
    rotated = ", ".join(f"{name} = other.{name}" for name in kinds)
    made.production.execute(
        f"update wide set {rotated} from (select * from wide where id < 100) other "
        "where other.id = (wide.id + 1) % (select count(*) from wide where id < 100) "
        "and wide.id < 100"
    )
    made.capture()
    _compare(made, kinds)


def _columns(values: dict[str, list[str]]) -> tuple[Columns, dict[str, list[str]]]:
    """Each type as a column, and as an array of its values; the cells as SQL."""
    kinds, cells = {}, {}
    for number, (kind, texts) in enumerate(values.items()):
        written = [_cell(text, kind) for text in texts]
        kinds[f"c{number}"], cells[f"c{number}"] = kind, written
        if not kind.endswith("[]") and kind not in matrix.FROM_CATALOG:
            several = ", ".join(cell for cell in written if "repeat(" not in cell)
            kinds[f"a{number}"] = f"{kind}[]"
            cells[f"a{number}"] = [f"array[{several}, null]::{kind}[]", f"'{{}}'::{kind}[]"]
    return kinds, cells


def _cell(text: str, kind: str) -> str:
    if text.startswith("="):
        return text[1:]
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'::{kind}"


def _insert(production: Database, cells: dict[str, list[str]], first: int) -> None:
    longest = max(len(values) for values in cells.values())
    with connection(production.dsn()) as opened, opened.cursor() as cursor:
        for row in range(longest):
            listed = ", ".join(values[row % len(values)] for values in cells.values())
            cursor.execute(f"insert into wide values ({first + row}, {listed})")
        cursor.execute(f"insert into wide (id) values ({first + longest})")


def _types(database: Database, table: str) -> Columns:
    return dict(
        database.rows(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0",
            (table,),
        )
    )


def _in_staging(kind: str) -> str:
    name = kind.removesuffix("[]").replace('"', '""')
    return f'staging_types."{name}"' + kind.removeprefix(kind.removesuffix("[]"))


def _make_hostile(production: Database) -> None:
    for setting, value in HOSTILE.items():
        production.execute(f"alter database {production.name} set {setting} = '{value}'")
        production.execute(
            f"alter role analytics_replica in database {production.name} set {setting} = '{value}'"
        )


def _compare(made: Pipeline, kinds: Columns) -> None:
    assert apply_pending(made.settings, SystemClock()).quarantined == {}
    expected = _texts(made.production, "wide", kinds)
    assert _differing(kinds, expected, _texts(made.warehouse, "staging.wide", kinds)) == []
    files = [f for m in manifests(made.store) for f in m.files]
    landed = [pq.read_table(made.store.full(file.path)) for file in files]
    for read in (_by_pyarrow, _by_duckdb):
        events = read(made, landed, kinds)
        last = {key: place for place, key in enumerate(events["id"])}
        found = {n: [texts[last[key]] for key in expected["id"]] for n, texts in events.items()}
        assert _differing(kinds, expected, found) == []


def _by_pyarrow(made: Pipeline, landed: list[pa.Table], kinds: Columns) -> Texts:
    events = pa.concat_tables(landed)
    texts = {name: pyarrow_texts(events, name) for name in ("id", *kinds)}
    return _printed_by_type(made, texts, kinds)


def _by_duckdb(made: Pipeline, landed: list[pa.Table], kinds: Columns) -> Texts:
    names = ("id", *kinds)
    listed = ", ".join(duckdb_text(landed[0].schema, name) for name in names)
    rows = made.landed("public.wide", listed)
    texts = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return _printed_by_type(made, texts, kinds)


def _printed_by_type(made: Pipeline, texts: Texts, kinds: Columns) -> Texts:
    judged = {n: kind for n, kind in kinds.items() if kind in PRINTED_BY_TYPE}
    return texts | {n: printed(made.warehouse, kind, texts[n]) for n, kind in judged.items()}


def _texts(database: Database, table: str, kinds: Columns) -> Texts:
    names = ("id", *kinds)
    listed = ", ".join(f"{name}::text" for name in names)
    with connection(database.dsn()) as opened, opened.cursor() as cursor:
        cursor.execute(f"select {listed} from {table} order by id")
        return dict(zip(names, map(list, zip(*cursor.fetchall(), strict=True)), strict=True))


def _differing(kinds: Columns, expected: Texts, found: Texts) -> list[str]:
    return [
        f"{kind} in row {row}: {str(one)[:60]!r}, not {str(other)[:60]!r}"
        for name, kind in kinds.items()
        for row, one, other in zip(expected["id"], found[name], expected[name], strict=True)
        if one != other
    ]


def _base(kind: str) -> str:
    """The type's name without modifiers, as format_type prints it."""
    if kind.startswith("interval"):
        return "interval"
    return re.sub(r"\(.*?\)", "", kind)
