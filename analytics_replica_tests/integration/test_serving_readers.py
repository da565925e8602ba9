"""Publishing beside readers: nobody waits long, sees two nights at once, or an empty table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import AlreadyRunning, PublishRefused
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.editions import published_edition
from analytics_replica.serving.readers import Patience
from analytics_replica_tests.integration.test_serving_editions import (
    build,
    contract,
    give,
    loader_connection,
    night_of,
)
from analytics_replica_tests.support.servers import Database

loader = loader_connection

IMPATIENT = Patience(snapshots=timedelta(milliseconds=200), swap=timedelta(milliseconds=200))


def test_a_reader_in_a_transaction_delays_the_swap_but_no_other_reader(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    with warehouse.session("analyst") as idle:
        idle.execute("select count(*) from analytics.orders")
        publishing = in_background(
            lambda: give(loader, edition, patience=Patience(swap=timedelta(seconds=30)))
        )
        waits = []
        for _ in range(40):
            began = time.monotonic()
            assert night_of(warehouse) == {("monday", "monday")}
            waits.append(time.monotonic() - began)
        idle.execute("select city from analytics.people limit 1")
        assert idle.fetchone() == ("monday",)  # one transaction never sees two nights
    publishing()
    assert night_of(warehouse) == {("tuesday", "tuesday")}
    # Unpolite, it would be the rest of the idle transaction; two cores are shared with others.
    assert sorted(waits)[len(waits) * 9 // 10] < 0.25


def test_a_reader_who_stays_is_named_when_patience_ends(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    before = contract(warehouse)
    with warehouse.session("analyst") as idle:
        idle.execute("select pg_backend_pid() from analytics.orders limit 1")
        (pid,) = idle.fetchone()
        with pytest.raises(PublishRefused, match=f"server process {pid} of role analyst"):
            give(loader, edition, patience=IMPATIENT)
    assert contract(warehouse) == before


def test_a_snapshot_older_than_the_edition_is_waited_for_and_never_shown_nothing(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    reader = psycopg2.connect(warehouse.dsn("analyst"))
    reader.set_session(isolation_level="REPEATABLE READ")
    with reader.cursor() as cursor:
        cursor.execute("select 1")  # takes the snapshot, and no lock on a view
        edition = build(loader, "tuesday")
        with pytest.raises(PublishRefused, match="of role analyst"):
            give(loader, edition, patience=IMPATIENT)
        cursor.execute("select count(*) from analytics.people")
        assert cursor.fetchone() == (3,)
    reader.close()
    give(loader, edition, patience=IMPATIENT)
    assert night_of(warehouse) == {("tuesday", "tuesday")}


def test_a_snapshot_taken_after_the_build_is_not_waited_for(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    reader = psycopg2.connect(warehouse.dsn("analyst"))
    reader.set_session(isolation_level="REPEATABLE READ")
    with reader.cursor() as cursor:
        cursor.execute("select 1")
        give(loader, edition, patience=IMPATIENT)
        cursor.execute("select city from analytics.people limit 1")
        assert cursor.fetchone() == ("tuesday",)
    reader.close()


def test_readers_never_find_two_nights_in_one_statement(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "night 0"))
    stop = threading.Event()
    found: list[set[tuple[str, str]]] = []

    def read() -> None:
        while not stop.is_set():
            found.append(night_of(warehouse))

    readers = [in_background(read) for _ in range(3)]
    for night in range(1, 8):
        give(loader, build(loader, f"night {night}"), position=Lsn(night))
    stop.set()
    for finish in readers:
        finish()
    assert all(len(nights) == 1 for nights in found)
    assert all(city == night for nights in found for city, night in nights)


def test_two_publishers_at_once_are_one_publication(
    warehouse: Database, loader: Connection
) -> None:
    edition = build(loader, "monday")
    with warehouse.session("loader") as other:
        other.execute(
            "select pg_advisory_xact_lock(hashtextextended('analytics-replica:serving', 0))"
        )
        with pytest.raises(AlreadyRunning):
            give(loader, edition)
    assert published_edition(loader) is None


def in_background(work: Callable[[], Any]) -> Callable[[], None]:
    """Starts the work in a thread; the result waits for it and raises what it raised."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as cause:  # noqa: BLE001 - raised again by the caller's thread
            failed.append(cause)

    thread = threading.Thread(target=run)
    thread.start()

    def finish() -> None:
        thread.join(60)
        assert not thread.is_alive()
        for cause in failed:
            raise cause

    return finish
