"""The canary: over ten thousand planted values go every way, and none is outside production.

Oracle: a search of every byte (demo.leaks) in many forms, which finds all of them in production and
each of a set of leaks that are planted on purpose. Out of reach, and so not claimed: memory, files
that are unlinked while open, numbers and dates as binary integers, bytes under two forms at once.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from analytics_replica.demo.leaks import search
from analytics_replica.domain.verdicts import Outcome
from analytics_replica_tests.support.canary.house import Canary
from analytics_replica_tests.support.canary.plant import Canaries
from analytics_replica_tests.support.canary.run import POINTS, canary

pytestmark = pytest.mark.slow

AFTER_ALL = "everything"

SUCCEED = {
    "capture, first copy",
    "capture, stream",
    "capture, streamed",
    "capture, nested",
    "resync",
    "ui",
}
FAIL = {
    "capture, RuntimeError",
    "capture, ArrowInvalid",
    "capture, OSError",
    "capture, MemoryError",
    "capture, a mask that fails",
    "capture, a type that cannot be converted",
    "capture, landing closed",
    "resync, RuntimeError",
    "night",
    "gold, a model and its tests fail",
    "night, staging refuses rows",
    "doctor",
    "night, a library quotes values",
}


@pytest.fixture(scope="module")
def world() -> Iterator[Canary]:
    with canary() as made:
        yield made


def test_ten_thousand_values_are_planted_in_every_kind_of_place(world: Canary) -> None:
    assert len(world.plant) >= 10_000
    assert len(world.plant.places) >= 30


def test_every_path_was_taken_and_every_failure_was_one(world: Canary) -> None:
    codes = {purpose: ended.code for purpose, ended in world.ended.items()}
    assert {purpose for purpose, code in codes.items() if code == 0} == SUCCEED, codes
    assert {purpose for purpose, code in codes.items() if code != 0} == FAIL, codes
    assert world.codes["capture, landing full"] == 51
    assert {world.codes[f"killed at {point}"] for point in POINTS} == {-9}
    assert "broken_people" in world.ended["gold, a model and its tests fail"].err


def test_large_transactions_were_streamed_also_aborted_ones(world: Canary) -> None:
    committed, aborted = world.production.rows(
        "select stream_txns, stream_count from pg_stat_replication_slots"
    )[0]
    assert committed > 0
    assert aborted > 0


def test_masked_rows_arrived_in_staging_and_gold(world: Canary) -> None:
    """Without rows outside production, finding nothing there would say nothing."""
    count = world.warehouse.scalar
    assert count("select count(*) from staging.people where email like '%@mailbox.example'") > 50
    assert count("select count(*) from staging.people where memo like '%[card]%[iban]%'") > 50
    assert count("select count(*) from staging.accounts where length(login) = 32") > 50
    assert count("select count(*) from staging.people where attributes ? 'contact'") > 50
    assert count("select count(*) from gold_a.known_people") > 50


def test_no_planted_value_is_in_any_byte_outside_production(world: Canary) -> None:
    found = world.found[AFTER_ALL]
    assert found.report.verdict().outcome is Outcome.PASS, str(found)
    assert found.report.found == 0
    assert found.report.files > 500
    assert found.report.rows > 10_000


def test_no_planted_value_is_in_what_a_killed_or_starved_capture_leaves_behind(
    world: Canary,
) -> None:
    for when in (*(f"killed at {point}" for point in POINTS), "capture, landing full"):
        assert world.found[when].report.found == 0, str(world.found[when])


def test_no_planted_value_is_in_dagsters_records_after_an_error_that_quotes_values(
    world: Canary,
) -> None:
    found = world.found["after an unexpected error in Dagster"]
    assert found.report.found == 0, str(found)


def test_nothing_stays_where_base_backups_are_made(world: Canary) -> None:
    left = [file for file in world.copies.rglob("*") if file.name != "base_backup.lock"]
    assert left == []
    locks = [file.read_bytes() for file in world.copies.rglob("*")]
    assert all(len(lock) < 100 for lock in locks)


def test_the_same_search_finds_values_of_every_place_in_production(world: Canary) -> None:
    found = world.search_production()
    assert world.plant.places - set(found.planted_at) == set()
    assert found.report.found > len(world.plant)


def in_parquet(file: Path, value: str) -> None:
    values = pa.table({"masked": ["nothing"] * 999 + [value]})
    pq.write_table(values, file, compression="zstd", write_statistics=False)


def in_parquet_statistics(file: Path, value: str) -> None:
    pq.write_table(pa.table({"masked": [value, value + "z"]}), file, compression="zstd")


def in_parquet_metadata(file: Path, value: str) -> None:
    schema = pa.schema([pa.field("masked", pa.string(), metadata={"comment": value})])
    pq.write_table(pa.table({"masked": ["x"]}, schema=schema), file)


def in_spilled_rows(file: Path, value: str) -> None:
    values = pa.table({"masked": ["nothing at all"] * 999 + [value]})
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(str(file), values.schema, options=options) as writer:
        writer.write_table(values)


def in_a_name(file: Path, value: str) -> None:
    (file.parent / f"{file.name}-{value}.log").write_text("nothing")


LEAKS: dict[str, Callable[[Path, str], object]] = {
    "log": lambda file, value: file.write_text(f"ERROR could not convert {value!r}\n"),
    "capitals": lambda file, value: file.write_text(value.upper()),
    "rotated log": lambda file, value: file.write_bytes(gzip.compress(b"x" * 999 + value.encode())),
    "name of a file": in_a_name,
    "parquet column": in_parquet,
    "parquet statistics": in_parquet_statistics,
    "parquet metadata": in_parquet_metadata,
    "spilled rows": in_spilled_rows,
    "json log": lambda file, value: file.write_text(json.dumps({"error": f"'{value}'"})),
    "base64 in a json log": lambda file, value: file.write_text(
        json.dumps({"payload": base64.b64encode(f"row: {value};".encode()).decode()})
    ),
    "utf-16": lambda file, value: file.write_bytes(f"row: {value};".encode("utf-16-le")),
    "utf-16, big end first": lambda file, value: file.write_bytes(value.encode("utf-16-be")),
    "percent-encoded": lambda file, value: file.write_text(f"GET /?q={quote(value, safe='')}"),
    "json escapes": lambda file, value: file.write_text(
        "".join(f"\\u{ord(letter):04x}" for letter in value)
    ),
    "hex": lambda file, value: file.write_text(f"\\x{value.encode().hex()}"),
    "hex in capitals": lambda file, value: file.write_text(value.encode().hex().upper()),
}


@pytest.fixture(scope="module")
def thief() -> tuple[Canaries, dict[str, str]]:
    """Values that are planted for the leaks on purpose, one of each sort."""
    plant = Canaries(seed=2)
    return plant, {
        "e-mail": plant.email("a leak").strip().lower(),
        "card": plant.card("a leak"),
        "phone": plant.phone("a leak"),
        "iban": plant.iban("a leak"),
    }


@pytest.mark.parametrize("sort", ["e-mail", "card", "phone", "iban"])
@pytest.mark.parametrize("leak", list(LEAKS))
def test_one_value_that_leaks_into_a_file_is_found(
    tmp_path: Path, thief: tuple[Canaries, dict[str, str]], leak: str, sort: str
) -> None:
    plant, values = thief
    (tmp_path / "a").write_text("nothing personal")
    assert search([tmp_path], [], plant).found == 0
    LEAKS[leak](tmp_path / "b", values[sort])
    report = search([tmp_path], [], plant)
    assert report.found > 0
    assert report.verdict().outcome is Outcome.FAIL


ROWS: dict[str, Callable[[str], object]] = {
    "text": lambda value: f"invalid input syntax: {value}",
    "bytea": lambda value: value.encode(),
    "packed bytea": lambda value: zlib.compress(f"{{'error': '{value}'}}".encode() * 3),
    "packed base64": lambda value: base64.b64encode(zlib.compress(value.encode() * 9)).decode(),
}


@pytest.mark.parametrize("form", list(ROWS))
@pytest.mark.parametrize("where", ["warehouse", "dagster"])
def test_one_value_that_leaks_into_a_row_is_found_in_the_database(
    world: Canary, thief: tuple[Canaries, dict[str, str]], where: str, form: str
) -> None:
    plant, values = thief
    database = world.warehouse if where == "warehouse" else world.dagster
    value = ROWS[form](values["e-mail"])
    kind = "bytea" if isinstance(value, bytes) else "text"
    database.execute(f"create table leak as select %s::{kind} as note", (value,))
    try:
        report = search([], [database.dsn()], plant)
    finally:
        database.execute("drop table leak")
    assert {hit.where for hit in report.hits} == {f"{database.name}: public.leak"}


def test_a_deleted_row_is_still_found_in_the_warehouse_servers_files(
    world: Canary, thief: tuple[Canaries, dict[str, str]]
) -> None:
    plant, values = thief
    world.warehouse.execute("create table gone as select %s as note", (values["iban"],))
    world.warehouse.execute("delete from gone")
    world.warehouse.execute("checkpoint")
    report = search([world.warehouse.server.data_dir], [], plant)
    places = {hit.where.rsplit("/data/")[-1].split("/")[0] for hit in report.hits}
    assert {"base", "pg_wal", "server.log"} <= places
