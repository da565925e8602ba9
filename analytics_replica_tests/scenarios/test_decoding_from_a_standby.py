"""Decoding from a standby: what is written on the primary arrives through the standby's slot.

Oracle: two real servers, the second one a streaming standby of the first. Not here: the first copy
from a standby that stands still (source.physical_copy).
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg2
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import SourceNotPrepared
from analytics_replica.landing.capture import capture
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.settings.load import Settings
from analytics_replica.source.dba import Preparation
from analytics_replica.source.preflight import SERVER, preflight
from analytics_replica.source.publications import Wanted
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import ROLE, Pipeline, open_directory
from analytics_replica_tests.support.servers import SETTINGS, Database, running_server

COLUMNS = {"id": "keep", "email": {"mask": "token", "domain": "e"}}


@pytest.fixture(scope="module")
def standby_of_primary() -> Iterator[tuple[LocalServer, LocalServer]]:
    """A primary and its streaming standby."""
    root = open_directory()
    with running_server() as primary:
        admin = Database(primary, "postgres")
        admin.execute(f"create role {ROLE} login replication; create role loader login superuser")
        standby = LocalServer(primary.bin_dir, root / "standby")
        standby.prepare_directory()
        copied = ["-d", primary.dsn("postgres"), "-X", "stream", "-c", "fast", "-R", "--no-sync"]
        standby.run("pg_basebackup", [*copied, "-C", "-S", "for_the_standby"])
        standby.own(standby.data_dir.resolve())
        try:
            standby.start({**SETTINGS, "hot_standby_feedback": "on"})
            yield primary, standby
        finally:
            standby.stop("immediate")
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def shop(standby_of_primary: tuple[LocalServer, LocalServer]) -> Iterator[Pipeline]:
    """A pipeline whose production is the primary, with its script run there."""
    primary, _ = standby_of_primary
    root = open_directory()
    production = Database(primary, "postgres")
    production.execute(
        "drop table if exists people; create table people (id int primary key, email text)"
    )
    production.execute("insert into people values (1, 'a@x')")
    changes = {"source.decode_from_standby": True}
    made = Pipeline(root, production, production, {"public.people": COLUMNS}, changes=changes)
    made.prepare()
    yield made
    shutil.rmtree(root, ignore_errors=True)


def reading(made: Pipeline, server: LocalServer) -> Settings:
    """The settings with the DSN of this server."""
    settings = made.settings
    environ = {**settings.secrets.environ, "SOURCE_DSN": server.dsn("postgres", ROLE)}
    return replace(settings, secrets=replace(settings.secrets, environ=environ))


def replayed(primary: LocalServer, standby: LocalServer) -> None:
    """Returns when the standby has replayed what the primary has flushed now."""
    now = Database(primary, "postgres").scalar("select pg_current_wal_flush_lsn()::text")
    until("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (now,), standby)


def until(question: str, parameters: tuple[object, ...], server: LocalServer) -> None:
    deadline = time.monotonic() + 60
    while not Database(server, "postgres").scalar(question, parameters):
        assert time.monotonic() < deadline, question
        time.sleep(0.02)


def slot_on(standby: LocalServer, primary: LocalServer, made: Pipeline) -> None:
    """The slot as the script says: made on the standby, while the primary logs a snapshot."""
    replayed(primary, standby)
    source = made.settings.replica.source
    script = Preparation(ROLE, "postgres", source, Wanted.of(made.settings)).script()
    asked = [line.removeprefix("--     ") for line in script.splitlines() if "select pg_" in line]
    statement = Preparation(ROLE, "postgres", source, Wanted.of(made.settings)).slot.text
    assert statement.splitlines()[0] in asked

    def create() -> None:
        opened = psycopg2.connect(standby.dsn("postgres"))
        opened.autocommit = True
        with opened.cursor() as cursor:
            cursor.execute(statement)
        opened.close()

    waiting = threading.Thread(target=create)
    waiting.start()
    while waiting.is_alive():
        Database(primary, "postgres").execute(asked[-1])
        waiting.join(0.1)


def test_writes_on_the_primary_arrive_through_the_standbys_slot_and_silence_ends(
    standby_of_primary: tuple[LocalServer, LocalServer], shop: Pipeline
) -> None:
    primary, standby = standby_of_primary
    slot_on(standby, primary, shop)
    settings = reading(shop, standby)
    assert {v.about: v.outcome for v in preflight(settings)}[SERVER] is Outcome.PASS
    assert capture(settings, SystemClock()).first_copy
    shop.production.execute(
        "insert into people values (2, 'b@x'); update people set id = 9 where id = 1"
    )
    replayed(primary, standby)
    report = capture(settings, SystemClock())
    assert sum(report.rows.values()) == 3
    silent = capture(settings, SystemClock())
    assert sum(silent.rows.values()) == 0
    apply_pending(settings, SystemClock())
    assert differences(shop.production, shop.warehouse, settings) == {}
    assert (
        shop.production.rows("select 1 from pg_replication_slots where plugin = 'pgoutput'") == []
    )


def test_a_capture_ends_while_replay_is_paused(
    standby_of_primary: tuple[LocalServer, LocalServer], shop: Pipeline
) -> None:
    primary, standby = standby_of_primary
    slot_on(standby, primary, shop)
    settings = reading(shop, standby)
    capture(settings, SystemClock())
    paused = Database(standby, "postgres")
    paused.rows("select pg_wal_replay_pause()")
    until("select pg_get_wal_replay_pause_state() = 'paused'", (), standby)
    try:
        shop.production.execute("insert into people values (3, 'c@x')")
        now = shop.production.scalar("select pg_current_wal_flush_lsn()::text")
        until("select pg_last_wal_receive_lsn() >= %s::pg_lsn", (now,), standby)
        assert sum(capture(settings, SystemClock()).rows.values()) == 0
    finally:
        paused.rows("select pg_wal_replay_resume()")
    replayed(primary, standby)
    assert sum(capture(settings, SystemClock()).rows.values()) == 1


@pytest.mark.parametrize(
    ("is_set", "reads", "says"),
    [(True, "primary", "the DSN is not a standby's"), (False, "standby", "the DSN is a standby's")],
)
def test_the_setting_and_the_server_must_agree(
    standby_of_primary: tuple[LocalServer, LocalServer],
    shop: Pipeline,
    *,
    is_set: bool,
    reads: str,
    says: str,
) -> None:
    shop.changes["source.decode_from_standby"] = is_set
    primary, standby = standby_of_primary
    settings = reading(shop, primary if reads == "primary" else standby)
    with pytest.raises(SourceNotPrepared, match=says):
        capture(settings, SystemClock())
    (answer,) = [v for v in preflight(settings) if v.about == SERVER]
    assert says in answer.findings[0].says


def test_a_standby_without_feedback_is_told(
    standby_of_primary: tuple[LocalServer, LocalServer], shop: Pipeline
) -> None:
    _, standby = standby_of_primary
    standby.stop()
    standby.start({**SETTINGS, "hot_standby_feedback": "off"})
    (answer,) = [v for v in preflight(reading(shop, standby)) if v.about == SERVER]
    standby.stop()
    standby.start({**SETTINGS, "hot_standby_feedback": "on"})
    assert answer.findings[0].subject == "hot_standby_feedback"
