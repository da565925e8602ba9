"""The resume guard on real servers: only silence is passed over; all else stops, and says why.

Each case stops within ten seconds with its exit code, names the gap where there is one and the
command that repairs it, and changes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.layout import manifest_path
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.silence import record_silence
from analytics_replica.source.preflight import POSITION, preflight
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.guarded import (
    GAP,
    advance,
    captured,
    create,
    drop,
    landed,
    state,
    stops,
    write,
)
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

TABLES = {"public.t": {"id": "keep"}}


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
    record_silence(made.store, "of another manifest", confirmed, SystemClock().now())
    stops(made, 34, GAP)
    record_silence(made.store, found[1], Lsn(confirmed.value - 8), SystemClock().now())
    write(made, 2)
    record_silence(made.store, found[1], confirmed, SystemClock().now())
    captured(made)
    assert landed(made) == [0, 1, 2]
