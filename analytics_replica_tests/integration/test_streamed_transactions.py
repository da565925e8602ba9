"""Large transactions come before they commit, wait masked on disk, and arrive whole or not at all.

Oracle: PostgreSQL's rows, pg_stat_replication_slots (that it really streamed), a byte search.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg2
import pyarrow.parquet as pq
import pytest

from analytics_replica.domain.batches import LSN, ORDINAL
from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing import stream
from analytics_replica.landing.capture import follow
from analytics_replica.landing.manifest import manifests
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.pipeline import Pipeline, streams_large_transactions
from analytics_replica_tests.support.servers import Database

COLUMNS = {"id": "keep", "part": "keep", "email": {"mask": "token", "domain": "email"}}
PLANTED = "planted-streamed-value@example.org"
OP = "_replica_op"
SMALL = 20_000
"""Bytes of open transactions above which the capture spills in some of these tests."""


@pytest.fixture(params=[SMALL, stream.OPEN_BYTES], ids=["spilled", "in memory"])
def large(
    request: pytest.FixtureRequest,
    production: Database,
    pipeline: Callable[..., Pipeline],
    monkeypatch: pytest.MonkeyPatch,
) -> Pipeline:
    """Two tables of a production that streams, and a capture that spills early, or not at all."""
    monkeypatch.setattr(stream, "OPEN_BYTES", request.param)
    monkeypatch.setattr(stream, "BUNCH", 500)
    for table in ("t", "other"):
        production.execute(f"create table {table} (id int primary key, part text, email text)")
    streams_large_transactions(production)
    made = pipeline({"public.t": COLUMNS, "public.other": COLUMNS})
    made.prepare()
    made.capture()
    return made


def _rows(first: int, last: int, part: str, table: str = "t") -> str:
    numbers = f"generate_series({first}, {last}) i"
    return f"insert into {table} select i, '{part}', '{PLANTED}' from {numbers}"


def _streamed(pipeline: Pipeline) -> int:
    """How many transactions the slot has sent before they were committed."""
    return int(
        pipeline.production.scalar(
            f"select stream_txns from pg_stat_replication_slots where slot_name = '{pipeline.slot}'"
        )
    )


def _live(pipeline: Pipeline, table: str = "public.t") -> list[tuple[int, str]]:
    """The ids and parts that remain after all landed events, replayed in order."""
    state: dict[int, str] = {}
    for op, key, part in pipeline.landed(table, f"{OP}, id, part"):
        if op == "t":
            state.clear()
        elif op == "d":
            state.pop(key)
        else:
            state[key] = part
    return sorted(state.items())


def _in_production(pipeline: Pipeline, table: str = "t") -> list[tuple[int, str]]:
    return pipeline.production.rows(f"select id, part from {table} order by id")


def _require_order(pipeline: Pipeline) -> None:
    """Every file's events are in the order of (LSN, ordinal), as pyarrow reads them."""
    for manifest in manifests(pipeline.store):
        for file in manifest.files:
            read = pq.read_table(pipeline.store.full(file.path), columns=[LSN, ORDINAL])
            events = list(zip(*(column.to_pylist() for column in read.columns), strict=True))
            assert events == sorted(events)


def test_a_streamed_transaction_lands_without_what_its_savepoints_rolled_back(
    large: Pipeline,
) -> None:
    large.production.execute(_rows(1, 20, "other", "other"))
    large.production.execute(_rows(700001, 700010, "committed before"))
    large.production.execute(
        f"""
        begin;
        {_rows(1, 2000, "kept")};
        savepoint a; {_rows(3001, 5000, "lost")};
        savepoint b; {_rows(5001, 6000, "lost too")}; release b;
        rollback to a;
        {_rows(3001, 4000, "second try")};
        update t set id = id + 100000 where id <= 10;
        savepoint c; truncate other; {_rows(6001, 8000, "lost, too")}; rollback to c;
        delete from t where id between 11 and 20;
        commit
        """
    )
    large.production.execute("insert into t values (999999, 'described by the streamed one')")
    large.capture()
    assert _live(large) == _in_production(large)
    assert _live(large, "public.other") == _in_production(large, "other")
    assert _streamed(large) > 0
    _require_order(large)
    events = large.landed("public.t", "_replica_lsn, _replica_ordinal, _replica_committed_at")
    assert len({event[:2] for event in events}) == len(events)
    assert all(committed is not None for *_, committed in events)


def test_open_transactions_do_not_mix_with_what_commits_meanwhile(large: Pipeline) -> None:
    production = large.production
    opened = [psycopg2.connect(production.dsn()) for _ in range(2)]
    with closing(opened[0]) as first, closing(opened[1]) as second:
        for start in (1, 3001):
            first.cursor().execute(_rows(start, start + 2000, "first"))
            second.cursor().execute(_rows(start + 10000, start + 12000, "second"))
            production.execute(_rows(start + 50000, start + 50010, "small"))
        large.capture()
        assert _live(large) == _in_production(large)
        first.commit()
        second.rollback()
    production.execute(_rows(99001, 99010, "after"))
    large.capture()
    assert _live(large) == _in_production(large)
    _require_order(large)


def test_an_aborted_transaction_leaves_nothing(large: Pipeline) -> None:
    with closing(psycopg2.connect(large.production.dsn())) as writer:
        writer.cursor().execute(_rows(1, 4000, "never"))
        writer.rollback()
    large.capture()
    assert large.landed("public.t") == []
    assert not list((large.root / "landing" / "unfinished").iterdir())


def test_an_aborted_transaction_leaves_the_disk_while_a_follower_goes_on(large: Pipeline) -> None:
    unfinished, stopping = large.root / "landing" / "unfinished", threading.Event()
    following = threading.Thread(
        target=lambda: follow(
            large.settings,
            SystemClock(),
            every=timedelta(seconds=1),
            stopped=stopping.is_set,
            heard=lambda _: None,
        )
    )
    following.start()
    try:
        with closing(psycopg2.connect(large.production.dsn())) as writer:
            writer.cursor().execute(_rows(1, 4000, "never"))
            if int(stream.OPEN_BYTES) == SMALL:
                eventually(lambda: bool(list(unfinished.iterdir())))
            writer.rollback()
        large.production.execute(_rows(5001, 5010, "kept"))
        eventually(lambda: len(large.landed("public.t")) == 10)
        assert not [path for path in unfinished.iterdir() if path.stat().st_size > SMALL]
    finally:
        stopping.set()
        following.join()
    assert _live(large) == _in_production(large)


def test_what_waits_on_disk_is_masked(large: Pipeline) -> None:
    """A byte search of everything below landing at each spill; a kept value shows it would find."""
    found: dict[str, bool] = {"raw": False, "kept": False}

    def look(point: str) -> None:
        if point != "stream commit":
            return
        for path in Path(large.root / "landing").rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            found["raw"] |= PLANTED.encode() in data
            found["kept"] |= b"kept in the clear" in data

    large.production.execute(_rows(1, 4000, "kept in the clear"))
    large.capture(reached=look)
    assert found == {"raw": False, "kept": int(stream.OPEN_BYTES) == SMALL}


def test_a_column_added_within_a_streamed_transaction_arrives_with_its_rows(
    large: Pipeline,
) -> None:
    large.production.execute(
        f"""
        begin;
        {_rows(1, 1500, "before")};
        alter table t add column late text;
        alter publication analytics_replica set table t, other;
        insert into t select i, 'with', null, 'x' from generate_series(2001, 3500) i;
        commit
        """
    )
    large.production.execute("insert into t values (9001, 'after', null, 'y')")
    large.capture()
    assert _live(large) == _in_production(large)
    with_late = large.landed("public.t", "late is null, part")
    assert {part for _, part in with_late} == {"before", "with", "after"}
    assert all(is_sealed for is_sealed, _ in with_late)


def test_a_truncate_within_a_streamed_transaction_empties_before_what_follows(
    large: Pipeline,
) -> None:
    large.production.execute(_rows(1, 10, "old"))
    large.production.execute(
        f"begin; {_rows(11, 2000, 'gone')}; truncate t, other; {_rows(1, 1500, 'new')};"
        f"{_rows(1, 20, 'other', 'other')}; commit"
    )
    large.capture()
    assert _live(large) == _in_production(large)
    assert _live(large, "public.other") == _in_production(large, "other")


def test_a_prepared_transaction_arrives_when_it_is_committed(large: Pipeline) -> None:
    if large.production.scalar("show max_prepared_transactions") == "0":
        pytest.skip("the server was started without prepared transactions")
    with closing(psycopg2.connect(large.production.dsn())) as writer:
        for name in ("stays", "goes"):
            writer.tpc_begin(name)
            writer.cursor().execute(_rows(*((1, 2000) if name == "stays" else (5001, 7000)), name))
            writer.tpc_prepare()
            writer.reset()
        large.capture()
        assert large.landed("public.t") == []
        writer.tpc_rollback("goes")
        writer.tpc_commit("stays")
    large.capture()
    assert _live(large) == _in_production(large)
