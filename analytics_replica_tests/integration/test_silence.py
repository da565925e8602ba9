"""Silence is proven from production's raw log, and only there where every record was seen.

Oracles: pg_walinspect (PostgreSQL 18) and pg_waldump (PostgreSQL 15) on the same log.
"""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_replica.domain.batches import SourceIdentity
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import DemoError
from analytics_replica.landing.layout import Store
from analytics_replica.landing.silence import PATH, record_silence, silent_upto
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.source.raw_log import Limits, prove_silence
from analytics_replica.source.silence import PAGE, Proof, Unreadable, Walk
from analytics_replica_tests.support.pipeline import ROLE
from analytics_replica_tests.support.servers import Database, running_server

SEGMENT = 16 * 2**20
Seen = list[tuple[int, int, bool]]
"""Of each record: start, length, whether it ends a transaction."""

ENDS = r"^(COMMIT|PREPARE|COMMIT_PREPARED)$"


@pytest.fixture(scope="module", params=[18, 15])
def running(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A server of this version with traffic of every kind of transaction."""
    try:
        programs = binaries_of(request.param)
    except DemoError as absent:
        pytest.skip(absent.what)
    with running_server({"wal_keep_size": "512MB"}, programs) as server:
        database = Database(server, "postgres")
        database.execute(f"create role {ROLE} login replication")
        yield database


def traffic(database: Database) -> tuple[Lsn, Lsn]:
    """Writes records of many kinds and sizes; returns where they start and end."""
    opened = psycopg2.connect(database.dsn())
    opened.autocommit = True
    with opened.cursor() as cursor:
        cursor.execute("drop table if exists t")
        cursor.execute("create table t (id int primary key, body text)")
        cursor.execute("alter table t alter body set storage external")
        start = _position(cursor)
        cursor.execute(
            "insert into t select n, repeat('x', n * 37 % 1900) from generate_series(1, 900) n"
        )
        cursor.execute("checkpoint")  # full images of pages follow: records longer than a page
        cursor.execute("update t set id = -id where id % 7 = 0")
        cursor.execute("select pg_logical_emit_message(true, '', repeat('y', 40000))")  # five pages
        cursor.execute("begin; delete from t where id < 100; rollback")
        cursor.execute("begin; delete from t where id = 200; prepare transaction 'kept'")
        cursor.execute("select pg_switch_wal()")
        cursor.execute("begin; delete from t where id = 201; prepare transaction 'dropped'")
        cursor.execute("commit prepared 'kept'")
        cursor.execute("rollback prepared 'dropped'")
        cursor.execute(
            "begin; savepoint a; truncate t; rollback to a; insert into t values (-1); commit"
        )
        end = _position(cursor)
    opened.close()
    return start, end


def _position(cursor: Any) -> Lsn:
    cursor.execute("select pg_current_wal_flush_lsn()::text")
    return Lsn.parse(cursor.fetchone()[0])


def raw(database: Database, start: Lsn, end: Lsn) -> bytes:
    """The log as it lies in production's files (timeline 1)."""
    found = bytearray()
    for number in range(start.value // SEGMENT, end.value // SEGMENT + 1):
        high, low = divmod(number, 2**32 // SEGMENT)
        folder = database.server.data_dir.resolve() / "pg_wal"
        found += (folder / f"00000001{high:08X}{low:08X}").read_bytes()
    first = start.value // SEGMENT * SEGMENT
    return bytes(found[start.value - first : end.value - first])


def walked(data: bytes, start: Lsn, sizes: Iterator[int]) -> Seen:
    walk, seen, used = Walk(start, SEGMENT), [], 0
    while used < len(data):
        size = next(sizes)
        seen += [
            (r.start, r.length, r.ends_transaction) for r in walk.feed(data[used : used + size])
        ]
        used += size
    return seen


def oracle(database: Database, start: Lsn, end: Lsn) -> Seen:
    if database.scalar("show server_version_num") >= "170000":
        database.execute("create extension if not exists pg_walinspect")
        rows = database.rows(
            "select start_lsn::text, record_length, resource_manager = 'Transaction' "
            "and record_type ~ %s from pg_get_wal_records_info(%s, %s) order by start_lsn",
            (ENDS, str(start), str(end)),
        )
        return [(Lsn.parse(at).value, length, ends) for at, length, ends in rows]
    folder = database.server.data_dir.resolve() / "pg_wal"
    programs = database.server.bin_dir
    dumped = subprocess.run(
        [programs / "pg_waldump", "-p", folder, "-s", str(start), "-e", str(end)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = re.findall(
        r"rmgr: (\w+) +len \(rec/tot\): +\d+/ *(\d+),.*? lsn: (\S+), prev \S+, desc: (\w+)", dumped
    )
    return [
        (Lsn.parse(at).value, int(length), kind == "Transaction" and bool(re.match(ENDS, says)))
        for kind, length, at, says in lines
    ]


def test_every_record_is_found_where_postgresql_finds_it(running: Database) -> None:
    start, end = traffic(running)
    found = walked(raw(running, start, end), start, itertools.repeat(131_072))
    expected = oracle(running, start, end)
    assert found == expected
    assert len(found) > 1000
    assert any(length > 2 * PAGE for _, length, _ in found)
    assert sum(ends for _, _, ends in found) >= 7  # six commits of one kind or another, a prepare


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(st.integers(1, 3 * PAGE), min_size=1), skip=st.integers(0, 400))
def test_pieces_of_any_size_give_the_same_records(
    log: tuple[bytes, Lsn, Seen], sizes: list[int], skip: int
) -> None:
    data, start, whole = log
    began = whole[skip][0]
    pieces = itertools.cycle(sizes)
    found = walked(data[began - start.value :], Lsn(began), pieces)
    assert found == whole[skip:]


@pytest.mark.parametrize("wrong", range(5))
def test_a_byte_that_is_not_the_logs_ends_the_walk(
    log: tuple[bytes, Lsn, Seen], wrong: int
) -> None:
    data, start, whole = log
    page = -start.value % PAGE  # the first page that starts in these bytes
    places = (
        page,  # its magic number
        page + 2,  # its flags
        page + 9,  # its address
        page + 16,  # how much of a record it goes on with
        whole[5][0] - start.value + 9,  # which record was before
    )
    broken = bytearray(data)
    broken[places[wrong]] ^= 0x55
    with pytest.raises(Unreadable):
        walked(bytes(broken), start, itertools.repeat(PAGE))


@pytest.fixture(scope="module")
def log(running: Database) -> tuple[bytes, Lsn, Seen]:
    start, end = traffic(running)
    data = raw(running, start, end)[: 40 * PAGE]
    return data, start, walked(data, start, itertools.repeat(PAGE))


def proof(database: Database, since: Lsn, upto: Lsn, timeline: int = 1, **limits: Any) -> Proof:
    system = database.scalar("select system_identifier::text from pg_control_system()")
    identity = SourceIdentity(system, timeline, "postgres", "", "", "")
    return prove_silence(database.dsn(ROLE), identity, since, upto, Limits(**limits))


def quiet(database: Database) -> tuple[Lsn, Lsn]:
    """A stretch of log with records, an abort and a segment's end, and without a commit."""
    opened = psycopg2.connect(database.dsn())
    opened.autocommit = True
    with opened.cursor() as cursor:
        cursor.execute("create table if not exists quiet (id int)")
        start = _position(cursor)
        cursor.execute("begin; insert into quiet select generate_series(1, 300); rollback")
        cursor.execute("select pg_switch_wal()")
        cursor.execute("begin; insert into quiet values (1); rollback; checkpoint")
        cursor.execute(
            "select pg_log_standby_snapshot()" if opened.server_version >= 160000 else "checkpoint"
        )
        end = _position(cursor)
    opened.close()
    return start, end


def test_a_stretch_without_the_end_of_a_transaction_is_proven_silent(running: Database) -> None:
    since, upto = quiet(running)
    proven = proof(running, since, upto)
    assert proven.silent, proven.says


@pytest.mark.parametrize(
    "statement",
    [
        "insert into quiet values (7)",
        "begin; insert into quiet values (8); prepare transaction 'p'",
        "commit prepared 'p'",
    ],
)
def test_whatever_a_slot_might_send_is_not_silent(running: Database, statement: str) -> None:
    since, _ = quiet(running)
    opened = psycopg2.connect(running.dsn())
    opened.autocommit = True
    with opened.cursor() as cursor:
        cursor.execute(statement)
        upto = _position(cursor)
    opened.close()
    told = proof(running, since, upto)
    assert not told.silent
    assert "a transaction ended in it" in told.says


def test_what_cannot_be_looked_through_is_not_silent(running: Database) -> None:
    since, upto = quiet(running)
    late = itertools.count(0, 100)
    doubts = {
        "more than the 0 MB": proof(running, since, upto, bytes=16),
        "not the same": proof(running, since, upto, timeline=2),
        "did not arrive in time": proof(running, since, upto, clock=lambda: float(next(late))),
        "did not send it": proof(running, Lsn(8), upto, bytes=2**40),
        "cannot be read": proof(running, Lsn(since.value + 8), upto),
    }
    for words, told in doubts.items():
        assert not told.silent, words
        assert words in told.says


def test_recorded_silence_counts_only_after_the_batch_that_it_continues(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert silent_upto(store, "a") is None
    record_silence(store, "a", Lsn(64), SystemClock().now())
    record_silence(store, "a", Lsn(128), SystemClock().now())
    assert silent_upto(store, "a") == Lsn(128)
    assert silent_upto(store, "b") is None
    (tmp_path / PATH).write_text('{"format": 1, "after": "a"')
    assert silent_upto(store, "a") is None
