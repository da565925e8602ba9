"""The resume guard on real servers: only silence is passed over; all else stops, and says why.

Each case stops within ten seconds with its exit code, names the gap where there is one and the
command that repairs it, and changes nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.layout import manifest_path
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.silence import record_silence
from analytics_replica.source.preflight import POSITION, preflight
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.pipeline import ROLE, Pipeline, open_directory
from analytics_replica_tests.support.servers import SETTINGS, Database, running_server

TABLES = {"public.t": {"id": "keep"}}
RECOVER = "analytics-replica recover"


@pytest.fixture
def made(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A pipeline with at least three batches: a copy, and two that hold one row each."""
    production.execute("create table t (id int primary key)")
    made = pipeline(TABLES)
    made.prepare()
    captured(made)
    for number in (0, 1):
        write(made, number)
        captured(made)
    return made


@pytest.fixture
def alone() -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines whose production is a server of its own with these settings."""
    root, servers = open_directory(), []

    def make(**settings: str) -> Pipeline:
        context = running_server(settings)
        server = context.__enter__()
        servers.append(context)
        production = Database(server, "postgres")
        production.execute(f"create role {ROLE} login replication")
        production.execute("create table t (id int primary key)")
        made = Pipeline(root, production, production, TABLES)
        made.prepare()
        captured(made)
        return made

    yield make
    for context in servers:
        context.__exit__(None, None, None)
    shutil.rmtree(root, ignore_errors=True)


def captured(made: Pipeline) -> None:
    """One capture, after which the server has heard what was confirmed."""
    made.capture()
    while state(made, "active"):
        time.sleep(0.01)


def state(made: Pipeline, column: str) -> object:
    return made.production.scalar(
        f"select {column} from pg_replication_slots where slot_name = %s", (made.slot,)
    )


def write(made: Pipeline, number: int) -> None:
    made.production.execute("insert into t values (%s)", (number,))


def landed(made: Pipeline) -> list[int]:
    return [row[0] for row in made.landed("public.t", "id")]


def world(made: Pipeline) -> object:
    """Landing's files with their bytes' sizes, and the slots."""
    files = [(str(p), p.stat().st_size) for p in (made.root / "landing").rglob("*") if p.is_file()]
    slots = made.production.rows(
        "select slot_name, confirmed_flush_lsn::text from pg_replication_slots"
    )
    return sorted(files), slots


def stops(made: Pipeline, code: int, *says: str, repair: str = RECOVER) -> None:
    """Capture stops within ten seconds with this code and these words, and changes nothing."""
    before, began = world(made), time.monotonic()
    ended = call_on(made, "capture")
    assert time.monotonic() - began < 10
    assert ended.code == code, ended.err
    for words in (*says, repair):
        assert words in ended.err
    assert world(made) == before


def advance(made: Pipeline) -> None:
    made.production.rows(
        "select pg_replication_slot_advance(%s, pg_current_wal_lsn())", (made.slot,)
    )


def drop(made: Pipeline) -> None:
    made.production.rows("select pg_drop_replication_slot(%s)", (made.slot,))


def create(made: Pipeline) -> None:
    made.production.rows("select pg_create_logical_replication_slot(%s, 'pgoutput')", (made.slot,))


def recreated_over_data(made: Pipeline) -> None:
    drop(made)
    write(made, 2)
    create(made)


def advanced_over_data(made: Pipeline) -> None:
    write(made, 2)
    advance(made)


def newest_batch_removed(made: Pipeline) -> None:
    write(made, 2)
    captured(made)
    newest(made).unlink()


def older_landing_restored(made: Pipeline) -> None:
    landing = made.root / "landing"
    shutil.copytree(landing, made.root / "older")
    for number in (2, 3):
        write(made, number)
        captured(made)
    shutil.rmtree(landing)
    shutil.move(made.root / "older", landing)


def publication_made_anew(made: Pipeline) -> None:
    made.production.execute("drop publication analytics_replica")
    write(made, 2)
    made.prepare()


def another_publication(made: Pipeline) -> None:
    made.changes["source.publication"] = "another"
    made.production.execute("create publication another for table t")


def dropped(made: Pipeline) -> None:
    write(made, 2)
    drop(made)


def newest(made: Pipeline) -> Path:
    found = last_manifest(made.store)
    assert found is not None
    return made.root / "landing" / manifest_path(found[0].sequence)


def one_in_the_middle_removed(made: Pipeline) -> None:
    (made.root / "landing" / manifest_path(2)).unlink()


def newest_cut(made: Pipeline) -> None:
    newest(made).write_bytes(newest(made).read_bytes()[:-40])


def one_in_the_middle_changed(made: Pipeline) -> None:
    file = made.root / "landing" / manifest_path(2)
    file.write_text(file.read_text().replace('"captured_at": "20', '"captured_at": "21'))


GAP = " bytes of log were released without being landed"
CASES: list[tuple[Callable[[Pipeline], None], int, str]] = [
    (recreated_over_data, 34, GAP),
    (advanced_over_data, 34, GAP),
    (newest_batch_removed, 34, GAP),
    (older_landing_restored, 34, GAP),
    (publication_made_anew, 34, "made anew"),
    (another_publication, 34, "publication is another"),
    (dropped, 34, "bytes of log lie between and cannot be read any more"),
    (one_in_the_middle_removed, 53, "Batch 2 has no manifest"),
    (newest_cut, 52, "is damaged or of another version"),
    (one_in_the_middle_changed, 53, "does not name the manifest of batch 2 as it is"),
]


@pytest.mark.parametrize(
    ("trouble", "code", "says"), CASES, ids=lambda case: getattr(case, "__name__", "")
)
def test_what_could_skip_changes_stops_capture_and_is_named(
    made: Pipeline, trouble: Callable[[Pipeline], None], code: int, says: str
) -> None:
    trouble(made)
    stops(made, code, says)


def test_the_gap_is_named_with_its_positions_and_the_transaction_that_fills_it(
    made: Pipeline,
) -> None:
    found = last_manifest(made.store)
    assert found is not None
    advanced_over_data(made)
    confirmed = Lsn.parse(str(state(made, "confirmed_flush_lsn")))
    gap = confirmed - found[0].position
    stops(
        made, 34, f"stands at {confirmed}", f"{found[0].position}: {gap:,}", "a transaction ended"
    )
    verdict = next(v for v in preflight(made.settings, last=found[0]) if v.about == POSITION)
    assert not verdict.passed


def silence(made: Pipeline) -> None:
    """Log without a commit: a transaction that is rolled back, and what the server writes."""
    with made.production.session() as cursor:
        cursor.execute("insert into t select generate_series(100, 200); rollback")
    made.production.rows("select pg_log_standby_snapshot()")
    made.production.execute("checkpoint")  # so that all of it is flushed


def advanced_over_silence(made: Pipeline) -> None:
    silence(made)
    advance(made)


def recreated_over_silence(made: Pipeline) -> None:
    silence(made)
    drop(made)
    create(made)


def newest_silent_batch_removed(made: Pipeline) -> None:
    silence(made)
    captured(made)
    newest(made).unlink()


@pytest.mark.parametrize(
    "moved", [advanced_over_silence, recreated_over_silence, newest_silent_batch_removed]
)
def test_a_slot_that_is_ahead_over_silence_is_followed_and_nothing_is_lost(
    made: Pipeline, moved: Callable[[Pipeline], None]
) -> None:
    moved(made)
    found = last_manifest(made.store)
    assert found is not None
    assert Lsn.parse(str(state(made, "confirmed_flush_lsn"))) > found[0].position
    assert next(v for v in preflight(made.settings, last=found[0]) if v.about == POSITION).passed
    write(made, 2)
    assert call_on(made, "capture").code == 0
    assert landed(made) == [0, 1, 2]
    assert check_contiguity(made.store).passed


def test_silence_that_capture_recorded_needs_no_log_and_no_other_record_counts(
    made: Pipeline,
) -> None:
    found = last_manifest(made.store)
    assert found is not None
    made.production.execute("create table elsewhere ()")  # a commit, though nothing of ours
    advance(made)
    confirmed = Lsn.parse(str(state(made, "confirmed_flush_lsn")))
    record_silence(made.store, "of another manifest", confirmed)
    stops(made, 34, GAP)
    record_silence(made.store, found[1], Lsn(confirmed.value - 8))
    write(made, 2)
    record_silence(made.store, found[1], confirmed)
    captured(made)
    assert landed(made) == [0, 1, 2]


def test_another_server_is_told_by_its_system_identifier(
    made: Pipeline, alone: Callable[..., Pipeline]
) -> None:
    other = alone()
    made.production = other.production
    stops(made, 34, "system identifier", "another server", repair="analytics-replica doctor")


def test_a_promoted_standby_is_told_by_its_timeline(alone: Callable[..., Pipeline]) -> None:
    made = alone()
    server = made.production.server
    server.stop()
    (server.data_dir.resolve() / "standby.signal").touch()
    server.own(server.data_dir.resolve())
    server.start(SETTINGS)
    server.run("pg_ctl", ["-w", "promote"])
    write(made, 2)
    stops(made, 34, "timeline is 2", "from timeline 1", "bytes further")


def test_a_production_that_was_put_back_is_told_by_the_end_of_its_log(
    alone: Callable[..., Pipeline],
) -> None:
    made = alone()
    server, kept = made.production.server, made.root / "kept"
    server.stop()
    shutil.copytree(server.data_dir.resolve(), kept, symlinks=True)
    server.start(SETTINGS)
    made.production.execute("insert into t select generate_series(1, 9000)")
    captured(made)
    server.stop()
    shutil.rmtree(server.data_dir.resolve())
    shutil.copytree(kept, server.data_dir.resolve(), symlinks=True)
    server.data_dir.resolve().chmod(0o700)
    server.own(server.data_dir.resolve())
    server.start(SETTINGS)
    stops(made, 34, "Production's log ends at", "bytes before landing's")


def write_segments(made: Pipeline, count: int) -> None:
    """Real log that is worth this many segments, and the checkpoint that removes old ones."""
    for _ in range(count):
        made.production.rows("select pg_logical_emit_message(false, '', repeat('x', 100000))")
        made.production.rows("select pg_switch_wal()")
    made.production.execute("checkpoint")


def test_a_slot_that_lost_its_log_is_told_with_the_gap_and_the_servers_reason(
    alone: Callable[..., Pipeline],
) -> None:
    made = alone(max_slot_wal_keep_size="32MB")
    write(made, 1)
    write_segments(made, 5)
    assert state(made, "wal_status") == "lost"
    stops(made, 34, "is lost (wal_removed)", "cannot be read any more")


def test_a_slot_that_was_idle_too_long_is_told_with_the_servers_reason(
    alone: Callable[..., Pipeline],
) -> None:
    made = alone(idle_replication_slot_timeout="1s")
    give_up_at = time.monotonic() + 30
    while state(made, "wal_status") != "lost":
        assert time.monotonic() < give_up_at
        made.production.execute("checkpoint")
    stops(made, 34, "is lost (idle_timeout)")
