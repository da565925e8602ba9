"""What breaks around a capture: it says so and ends; the next capture completes, exactly.

Oracle: DuckDB through the manifests (support/numbered.py). The faults are real: a real server that
is shut down at once, a real connection that is reset, the kernel's own refusals to write.
"""

from __future__ import annotations

import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analytics_replica.errors import LandingError, LandingFull, ReplicaError, SourceUnreachable
from analytics_replica.landing import stream
from analytics_replica.landing.points import POINTS
from analytics_replica.postgres.local_server import LocalServer, unprivileged_account
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.killed import At, captures, wait_until_free
from analytics_replica_tests.support.numbered import TABLES, Workload, judge
from analytics_replica_tests.support.pipeline import ROLE, Pipeline, open_directory
from analytics_replica_tests.support.proxy import proxied
from analytics_replica_tests.support.servers import (
    SETTINGS,
    Database,
    fresh_database,
    running_server,
)

Landed = tuple[Pipeline, Workload]

CUTS = (60, 700, 2_500, 9_001, 30_011, 80_021)
"""Bytes from production after which the connection is cut: in the handshake, in the catalog read,
in the first row message, in a row in the middle of a transaction."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open transactions of a test's size are spilled, as large ones are."""
    monkeypatch.setattr(stream, "OPEN_BYTES", 20_000)


@pytest.fixture(scope="module")
def own_server() -> Iterator[LocalServer]:
    """A server that these tests may shut down."""
    with running_server() as started:
        Database(started, "postgres").execute("create role analytics_replica login replication")
        yield started


@pytest.fixture(scope="module")
def landed(own_server: LocalServer) -> Iterator[Landed]:
    """One production and one landing for all faults."""
    root = open_directory()
    with fresh_database(own_server, "production") as production:
        workload = Workload(production)
        workload.prepare()
        changes = {"landing.batch_rows": 20}
        made = Pipeline(root, production, production, TABLES, changes=changes)
        made.prepare()
        made.capture()
        yield made, workload
    shutil.rmtree(root, ignore_errors=True)


def require_exact_afterwards(landed: Landed) -> None:
    """A plain capture completes, and every transaction is landed once."""
    pipeline, workload = landed
    workload.write(small=2, large=0)
    wait_until_free(pipeline)
    pipeline.capture()
    judged = judge(pipeline)
    assert judged.exact, judged


@pytest.mark.parametrize("bytes_until_cut", CUTS)
def test_a_connection_cut_in_the_middle_of_a_message_is_told_and_loses_nothing(
    landed: Landed, bytes_until_cut: int
) -> None:
    pipeline, workload = landed
    workload.write()
    production = pipeline.production
    with proxied(production.server, cut_after=bytes_until_cut) as proxy:
        ended = call_on(pipeline, "capture", SOURCE_DSN=proxy.dsn(production.name, ROLE))
    assert ended.code == SourceUnreachable.exit_code, ended.err
    assert "nothing is lost" in ended.err or "Nothing was read" in ended.err
    require_exact_afterwards(landed)


def test_a_connection_that_stalls_is_waited_for_and_nobody_else_captures(landed: Landed) -> None:
    pipeline, workload = landed
    workload.write()
    production = pipeline.production
    codes = []
    with proxied(production.server, stall_after=9_001) as proxy:
        dsn = proxy.dsn(production.name, ROLE)
        reader = threading.Thread(
            target=lambda: codes.append(captures(pipeline, At("", int), lambda: _through(dsn)))
        )
        reader.start()
        assert proxy.stalled.wait(60)
        assert call_on(pipeline, "capture").code == 70
        proxy.go_on.set()
        reader.join(60)
    assert codes == [0]
    require_exact_afterwards(landed)


def _through(dsn: str) -> None:
    """Lets this process reach production by another way."""
    Database.dsn = lambda *_: dsn  # type: ignore[method-assign]


@pytest.mark.parametrize("point", POINTS)
def test_a_production_that_restarts_at_once_is_told_and_loses_nothing(
    landed: Landed, point: str
) -> None:
    pipeline, workload = landed
    workload.write()
    server = pipeline.production.server

    def restart() -> None:
        server.stop("immediate")
        server.start(SETTINGS)

    with pytest.raises(SourceUnreachable):
        pipeline.capture(reached=At(point, restart))
    require_exact_afterwards(landed)


@pytest.mark.parametrize("point", POINTS)
def test_a_wal_sender_that_is_ended_by_the_dba_is_told_and_loses_nothing(
    landed: Landed, point: str
) -> None:
    pipeline, workload = landed
    workload.write()
    ended = At(point, lambda: _end_wal_sender(pipeline))
    with pytest.raises(ReplicaError) as told:
        pipeline.capture(reached=ended)
    assert isinstance(told.value, SourceUnreachable), told.value
    require_exact_afterwards(landed)


def _end_wal_sender(pipeline: Pipeline) -> None:
    """Does not wait for its end: it may have to send us what it was sending."""
    ended = "select pg_terminate_backend(active_pid) from pg_replication_slots where active"
    assert pipeline.production.rows(ended) == [(True,)]


@pytest.mark.parametrize("point", POINTS)
def test_a_disk_that_is_full_from_here_on_is_told_and_loses_nothing(
    landed: Landed, point: str
) -> None:
    pipeline, workload = landed
    workload.write()
    assert captures(pipeline, At(point, _no_more_bytes)) == LandingFull.exit_code
    require_exact_afterwards(landed)


def _no_more_bytes() -> None:
    """The kernel refuses to make any file longer (EFBIG); Python ignores the signal."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("folder", ["", "unfinished", "data/public/keyed", "manifests"])
def test_a_directory_that_may_not_be_written_is_told_and_loses_nothing(
    landed: Landed, folder: str
) -> None:
    pipeline, workload = landed
    workload.write()
    refused = pipeline.root / "landing" / folder
    give_back = _close(pipeline.root / "landing", refused)
    try:
        assert captures(pipeline, At("", int), _without_rights) == LandingError.exit_code
    finally:
        give_back()
    require_exact_afterwards(landed)


def _close(landing: Path, refused: Path) -> Callable[[], None]:
    """Takes the right to write this one folder from whoever `_without_rights` becomes."""
    account, us = unprivileged_account(), (os.geteuid(), os.getegid())
    everything = [landing, *landing.rglob("*")]
    if account is not None:  # root may write anywhere, so the capture runs as somebody else
        for path in everything:
            os.chown(path, account.uid, account.gid)
        os.chown(refused, *us)
        if refused == landing:
            os.chown(landing / "capture.lock", *us)
    os.chown(landing.parent / "replica.yaml", *(account.uid, account.gid) if account else us)
    refused.chmod(0o555)

    def give_back() -> None:
        refused.chmod(0o755)
        if account is not None:
            for path in (landing, *landing.rglob("*")):
                os.chown(path, *us)

    return give_back


def _without_rights() -> None:
    account = unprivileged_account()
    if account is not None:
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
