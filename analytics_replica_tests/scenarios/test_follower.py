"""A follower lands what commits while it runs, gives way to nobody, and stops without loss.

Real processes and signals; oracle: PostgreSQL's slot, DuckDB through the manifests.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from analytics_replica.domain.lsn import ZERO
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.commands import program, start
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database, fresh_database


@pytest.fixture
def made(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """One table, copied."""
    production.execute("create table t (id int primary key)")
    one = pipeline({"public.t": {"id": "keep"}})
    one.prepare()
    one.capture()
    return one


@contextlib.contextmanager
def follower(made: Pipeline, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`capture --follow` in a process of its own, killed at the end if it still runs."""
    settings = made.settings
    command = program("--config", str(settings.file), "capture", "--follow", "--json", *options)
    process = start(command, settings.secrets.environ)
    try:
        eventually(made.store.is_followed)
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str]) -> str:
    """Ends the follower as a service manager would; what it printed."""
    process.send_signal(signal.SIGTERM)
    printed, complaints = process.communicate(timeout=30)
    assert process.returncode == 0, complaints
    return printed


def ids(made: Pipeline) -> list[int]:
    return [row[0] for row in made.landed("public.t", "id")]


def test_what_commits_is_landed_while_it_runs_and_the_rest_when_it_is_stopped(
    made: Pipeline,
) -> None:
    with follower(made, "--every", "1") as process:
        made.production.execute("insert into t values (1)")
        eventually(lambda: ids(made) == [1])
        made.production.execute("insert into t values (2)")
        eventually(lambda: ids(made) == [1, 2])
        printed = stopped(process)
    assert [json.loads(line)["events"] for line in printed.splitlines()][:2] == [1, 1]
    assert check_contiguity(made.store, files=True).passed
    made.production.execute("insert into t values (3)")
    made.capture()
    assert ids(made) == [1, 2, 3]


def test_a_scheduled_capture_has_the_follower_land_the_present(made: Pipeline) -> None:
    with follower(made, "--every", "3600") as process:
        made.production.execute("insert into t values (1)")
        report = made.capture()
        assert ids(made) == [1]
        assert report.rows
        made.capture()
        stopped(process)


def test_a_follower_terminates_under_constant_writes(made: Pipeline) -> None:
    writer = psycopg2.connect(made.production.dsn())
    writer.autocommit = True
    with follower(made, "--every", "1") as process, contextlib.closing(writer):
        cursor = writer.cursor()
        number = 0
        process.send_signal(signal.SIGTERM)
        while process.poll() is None and number < 200_000:
            number += 1
            cursor.execute("insert into t values (%s)", (number,))
        assert process.wait(30) == 0
    made.capture()
    assert ids(made) == list(range(1, number + 1))


def test_a_kill_of_the_follower_loses_nothing(made: Pipeline) -> None:
    with follower(made, "--every", "1") as process:
        made.production.execute("insert into t select generate_series(1, 1000)")
        eventually(lambda: len(ids(made)) == 1000)
        made.production.execute("insert into t select generate_series(1001, 2000)")
        process.kill()
        process.wait()
        eventually(lambda: not made.store.is_followed())
    eventually(lambda: not _is_read(made))
    made.capture()
    assert ids(made) == list(range(1, 2001))
    assert check_contiguity(made.store, files=True).passed


def test_the_follower_outlives_a_connection_that_was_cut(made: Pipeline) -> None:
    with follower(made, "--every", "1") as process:
        eventually(lambda: _is_read(made))
        made.production.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots "
            f"where slot_name = '{made.slot}'"
        )
        made.production.execute("insert into t values (1)")
        eventually(lambda: ids(made) == [1])
        stopped(process)


def test_the_log_of_another_database_is_released_in_silence_and_a_kill_goes_on_from_there(
    made: Pipeline, server: LocalServer
) -> None:
    with fresh_database(server, "neighbour") as neighbour, follower(made) as process:
        eventually(lambda: _is_read(made))
        neighbour.execute("create table noise as select generate_series(1, 50000) i")
        noisy = made.production.scalar("select pg_current_wal_flush_lsn()::text")
        confirmed = (
            f"select confirmed_flush_lsn >= '{noisy}' from pg_replication_slots "
            f"where slot_name = '{made.slot}'"
        )
        batches = made.store.names("manifests")
        eventually(lambda: bool(made.production.scalar(confirmed)), seconds=60)
        assert made.store.names("manifests") == batches
        process.kill()
        process.wait()
    eventually(lambda: not _is_read(made))
    made.production.execute("insert into t values (1)")
    made.capture()
    assert ids(made) == [1]


def test_a_table_that_was_out_of_the_publication_while_it_follows_is_noticed(
    made: Pipeline,
) -> None:
    with follower(made, "--every", "1") as process:
        eventually(lambda: _is_read(made))
        made.production.execute("alter publication analytics_replica drop table t")
        made.production.execute("insert into t values (1)")
        made.production.execute("alter publication analytics_replica add table t (id)")
        made.production.execute("insert into t values (2)")
        eventually(lambda: ids(made) == [2])
        newest = last_manifest(made.store)
        assert newest is not None
        assert newest[0].incomplete == (TableName("public", "t"),)
        assert newest[0].slot.confirmed_lsn > ZERO
        stopped(process)


def _is_read(made: Pipeline) -> bool:
    return bool(
        made.production.scalar(
            f"select active from pg_replication_slots where slot_name = '{made.slot}'"
        )
    )
