"""The projection is the longest remaining path over the graph of steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from analytics_replica.deadlines.history import StepHistory
from analytics_replica.deadlines.projection import Projection, StepTonight, project

CHAIN = {"raw": set[str](), "staging": {"raw"}, "gold": {"staging"}, "ready": {"gold"}}
DIAMOND = {
    "staging": set[str](),
    "slow": {"staging"},
    "quick": {"staging"},
    "ready": {"slow", "quick"},
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-21 {text}").replace(tzinfo=UTC)


def minutes(**steps: int) -> StepHistory:
    return StepHistory({step: [timedelta(minutes=long)] for step, long in steps.items()})


USUAL = minutes(raw=5, staging=10, gold=20, ready=1)


def finish(
    now: str, tonight: dict[str, StepTonight] | None = None, begins: str = "01:00"
) -> Projection:
    return project(CHAIN, USUAL.p95, tonight or {}, at(now), at(begins))


def test_before_the_night_begins_it_is_counted_from_its_begin() -> None:
    assert finish("00:10").latest_finish == at("01:36")


def test_when_nothing_has_started_it_is_counted_from_now() -> None:
    late = finish("02:00")
    assert late.latest_finish == at("02:36")
    assert late.critical_path == ("raw", "staging", "gold", "ready")


def test_a_finished_step_keeps_its_finish_and_the_rest_is_counted_from_now() -> None:
    done = {"raw": StepTonight(at("01:00"), at("01:02"))}
    assert finish("02:00", done).latest_finish == at("02:31")
    assert finish("02:00", done).critical_path[0] == "staging"


def test_a_running_step_ends_as_usual_after_its_start() -> None:
    running = {
        "raw": StepTonight(at("01:00"), at("01:05")),
        "staging": StepTonight(at("01:05"), at("01:15")),
        "gold": StepTonight(at("01:15")),
    }
    assert finish("01:20", running).latest_finish == at("01:36")


def test_a_step_that_hangs_ends_now_at_the_earliest() -> None:
    hangs = {"raw": StepTonight(at("01:00"))}
    assert finish("03:00", hangs).latest_finish == at("03:31")


def test_the_longer_of_two_ways_decides() -> None:
    usual = minutes(staging=5, slow=30, quick=2, ready=1)
    found = project(DIAMOND, usual.p95, {}, at("01:00"), at("01:00"))
    assert found.critical_path == ("staging", "slow", "ready")
    assert found.latest_finish == at("01:36")


def test_when_all_is_done_nothing_remains() -> None:
    done = {step: StepTonight(finished_at=at("01:30")) for step in CHAIN}
    found = finish("03:00", done)
    assert found.done
    assert found.latest_finish == at("01:30")


def test_a_step_that_no_past_night_knows_is_named_and_not_guessed() -> None:
    found = project(CHAIN, minutes(raw=5, ready=1).p95, {}, at("01:00"), at("01:00"))
    assert set(found.unknown_steps) == {"staging", "gold"}


def test_the_latest_safe_start_is_as_far_from_the_start_as_the_deadline_from_the_finish() -> None:
    found = finish("02:00")
    assert found.latest_safe_start(at("02:30")) == at("01:54")


def test_quantiles_are_durations_that_really_happened() -> None:
    history = StepHistory({"gold": [timedelta(minutes=m) for m in (9, 1, 2, 3, 4, 5, 6, 7, 8, 10)]})
    assert history.p50("gold") == timedelta(minutes=5)
    assert history.p90("gold") == timedelta(minutes=9)
    assert history.p95("gold") == timedelta(minutes=10)
    assert history.nights("gold") == 10
    assert history.p95("never seen") is None
