"""Which servers are accepted as a physical copy, judged with real standbys of a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest

from analytics_replica.errors import CopyFailed, PositionMismatch, ReplicaError
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.source.physical_copy import (
    inspect,
    require_published_before,
    standing_still,
)
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database, running_server
from analytics_replica_tests.support.standbys import Standby, standby_of

ITEMS = {"public.items": {"id": "keep", "secret": {"mask": "token", "domain": "s"}}}


@pytest.fixture(scope="module")
def standby(server: LocalServer) -> Iterator[Standby]:
    with standby_of(server) as made:
        yield made


@pytest.fixture
def items(production: Database, pipeline: Callable[..., Pipeline], standby: Standby) -> Pipeline:
    production.execute("create table items (id int primary key, secret text)")
    production.execute("insert into items select n, 's' || n from generate_series(1, 1000) n")
    made = pipeline(ITEMS)
    made.prepare()
    standby.is_copied_by(made)
    return made


def ids(pipeline: Pipeline) -> list[int]:
    return [row[0] for row in pipeline.landed("public.items", "id")]


def test_a_paused_standby_is_copied_and_the_stream_goes_on_at_its_position(
    items: Pipeline, standby: Standby
) -> None:
    standby.stand_still()
    items.production.execute("insert into items values (1001, 'later')")
    report = items.capture()
    assert report.first_copy
    assert sorted(ids(items)) == list(range(1, 1002))


def test_a_copy_that_still_replays_is_refused(items: Pipeline, standby: Standby) -> None:
    standby.catch_up()
    refused(items, CopyFailed, "its replay is not paused")


def test_a_copy_from_before_the_slot_is_refused(items: Pipeline, standby: Standby) -> None:
    standby.stand_still()
    items.production.execute("insert into items values (2000, 'after')")
    items.production.execute(
        f"select pg_replication_slot_advance('{items.slot}', pg_current_wal_lsn())"
    )
    refused(items, PositionMismatch, "before .*, where the log that we have begins")


def test_production_itself_is_no_copy(items: Pipeline) -> None:
    (items.root / ".env").write_text(f"COPY_DSN='{items.production.dsn()}'\n")
    refused(items, CopyFailed, "it never replayed a log")


def test_a_copy_of_another_system_is_refused(items: Pipeline) -> None:
    with running_server() as other, standby_of(other) as foreign:
        Database(other, "postgres").execute("create table anything ()")
        foreign.stand_still()
        (items.root / ".env").write_text(f"COPY_DSN='{foreign.server.dsn()}'\n")
        refused(items, CopyFailed, "its system identifier differs")


def test_a_promoted_server_and_what_follows_it_are_refused(
    items: Pipeline, server: LocalServer
) -> None:
    with standby_of(server) as promoted:
        promoted.stand_still()
        promoted.ask("select pg_wal_replay_resume()")
        promoted.server.run("pg_ctl", ["-w", "promote"])
        promoted.is_copied_by(items)
        refused(items, CopyFailed, "it was promoted")
        with standby_of(promoted.server) as follower:
            follower.stand_still()
            follower.is_copied_by(items)
            refused(items, CopyFailed, "it is on timeline 2, production on 1")


def test_a_copy_that_moves_on_while_it_is_read_is_refused(
    items: Pipeline, standby: Standby
) -> None:
    standby.stand_still()
    items.production.execute("insert into items values (3000, 'moves')")

    def once_looked_at(step: str, done: int, total: int | None) -> None:
        if step == "copy, rows" and not done:
            standby.stand_still()

    with pytest.raises(CopyFailed, match="it moved on from"):
        items.capture(progress=once_looked_at)
    assert ids(items) == []


def test_a_role_that_row_security_applies_to_cannot_copy_a_part(
    items: Pipeline, standby: Standby
) -> None:
    items.production.execute(
        "drop role if exists reader; create role reader login; "
        "grant select on items to reader; alter table items enable row level security; "
        "create policy a_few on items using (id < 10)"
    )
    standby.stand_still()
    dsn = standby.server.dsn(items.production.name, "reader")
    (items.root / ".env").write_text(f"COPY_DSN='{dsn}'\n")
    refused(items, ReplicaError, "SQLSTATE 42501")
    items.production.execute("drop owned by reader; drop role reader")


def test_a_table_published_in_the_middle_of_an_open_transaction_is_refused(
    production: Database, pipeline: Callable[..., Pipeline], standby: Standby
) -> None:
    production.execute("create table items (id int primary key, secret text)")
    made = pipeline(ITEMS)
    with production.session() as writing:
        writing.execute("insert into items values (1, 'before the publication')")
        production.execute("create publication analytics_replica for table items")
        production.execute("create table younger as select 1 as n")
        standby.stand_still()
        standby.is_copied_by(made)
        late = _published_too_late(made)
        assert "public.items came into the publication is still open" in late
    standby.stand_still()
    assert _published_too_late(made) == ""


def _published_too_late(pipeline: Pipeline) -> str:
    settings = pipeline.settings
    named = settings.replica.source.physical_copy
    assert named is not None
    with standing_still(inspect(settings.secrets.get(named))) as opened:
        try:
            require_published_before(opened, "analytics_replica", settings.tables)
        except PositionMismatch as late:
            return late.what
    return ""


def refused(pipeline: Pipeline, kind: type[ReplicaError], why: str) -> None:
    """The capture ends with this error and has landed nothing."""
    with pytest.raises(kind, match=why):
        pipeline.capture()
    assert pipeline.landed("public.items") == []
    assert not list((pipeline.root / "landing").rglob("*.parquet"))


def test_a_table_that_an_open_transaction_truncated_is_told_and_not_waited_for(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create table t (id int primary key)")
    production.execute("insert into t values (1)")
    made = pipeline({"public.t": {"id": "keep"}})
    made.prepare()
    with closing(psycopg2.connect(production.dsn())) as writer:

        def truncate(step: str, done: int, total: int | None) -> None:
            if step.startswith("base backup") and not done:
                writer.cursor().execute("truncate t")

        with pytest.raises(CopyFailed, match="a table is locked in it"):
            made.capture(progress=truncate)
        writer.rollback()
    made.capture()
    assert made.landed("public.t", "id") == [(1,)]
