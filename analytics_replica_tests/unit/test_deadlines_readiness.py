"""The verdict on a night, with its reason in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics_replica.deadlines.deadline import Deadline
from analytics_replica.deadlines.history import StepHistory
from analytics_replica.deadlines.projection import StepTonight, project
from analytics_replica.deadlines.readiness import Failure, Readiness, Standing, Tonight, judge

BERLIN = ZoneInfo("Europe/Berlin")
FOUR = Deadline(BERLIN, time(4, 0), time(22, 0))
CHAIN = {"raw": set[str](), "staging": {"raw"}, "gold": {"staging"}, "ready": {"gold"}}
USUAL = {"raw": 5, "staging": 40, "gold": 90, "ready": 5}
MARGIN = timedelta(minutes=90)


def berlin(text: str) -> datetime:
    """The moment at which clocks in Berlin show this, in UTC as our clocks tell it."""
    day = "2026-11-20" if text > "12" else "2026-11-21"
    return datetime.fromisoformat(f"{day} {text}").replace(tzinfo=BERLIN).astimezone(UTC)


def judged(now: str, tonight: Tonight, usual: dict[str, int] | None = None) -> Readiness:
    history = StepHistory(
        {k: [timedelta(minutes=v)] for k, v in (USUAL if usual is None else usual).items()}
    )
    night = FOUR.night_of(berlin(now))
    projection = project(
        CHAIN, history.p95, tonight.steps, berlin(now), night.begins.astimezone(UTC)
    )
    return judge(berlin(now), night, tonight, projection)


RAW_DONE = {"raw": StepTonight(berlin("22:00"), berlin("22:05"))}


def test_a_night_that_goes_as_usual_is_on_track() -> None:
    found = judged("22:10", Tonight(RAW_DONE))
    assert found.standing is Standing.ON_TRACK
    assert found.reason == "22:10 Europe/Berlin: p95 finish 00:25, 3 h 35 min before 04:00"


def test_a_stuck_stage_is_told_with_its_latest_safe_start() -> None:
    found = judged("02:10", Tonight(RAW_DONE))
    assert found.standing is Standing.AT_RISK
    assert found.reason == (
        "02:10 Europe/Berlin: staging has not started; p95 finish 04:25; it had to start by 01:45"
    )


def test_a_run_that_was_never_created_is_at_risk_minutes_after_the_begin_not_hours() -> None:
    assert judged("22:04", Tonight({})).standing is Standing.ON_TRACK
    found = judged("22:06", Tonight({}))
    assert found.standing is Standing.AT_RISK
    assert "raw has not started; it was to begin at 22:00; p95 finish 00:26" in found.reason


def test_a_failed_run_is_at_risk_at_once_even_if_there_is_time() -> None:
    failed = Failure(berlin("22:30"), "gold", "run:nightly:gold")
    found = judged("22:31", Tonight(RAW_DONE, failure=failed))
    assert found.standing is Standing.AT_RISK
    assert "the run failed at gold at 22:30 and nothing runs" in found.reason


def test_without_a_past_night_the_verdict_is_unknown_and_becomes_trouble_near_the_deadline() -> (
    None
):
    started = Tonight({"raw": StepTonight(berlin("22:00"))})
    early, near = judged("22:10", started, {}), judged("02:40", started, {})
    assert early.standing is Standing.UNKNOWN
    assert not early.is_trouble(berlin("22:10"), MARGIN)
    assert near.is_trouble(berlin("02:40"), MARGIN)


def test_ready_is_only_what_was_published_since_the_night_began() -> None:
    found = judged("03:00", Tonight({}, ready_at=berlin("00:20")))
    assert found.standing is Standing.READY
    assert found.reason == "03:00 Europe/Berlin: ready since 00:20, 3 h 40 min before 04:00"


def test_a_deadline_that_passed_is_late_with_a_new_estimate() -> None:
    running = {
        "raw": StepTonight(berlin("01:00"), berlin("01:05")),
        "staging": StepTonight(berlin("02:40"), berlin("03:20")),
        "gold": StepTonight(berlin("03:20")),
    }
    found = judged("04:00", Tonight(running))
    assert found.standing is Standing.LATE
    assert found.reason == (
        "04:00 Europe/Berlin: 04:00 has passed and gold has run for 40 minutes; p95 finish 04:55"
    )


@pytest.mark.parametrize("standing", [Standing.READY, Standing.ON_TRACK])
def test_nobody_is_told_of_a_night_that_is_well(standing: Standing) -> None:
    night = FOUR.night_of(berlin("02:00"))
    assert not Readiness(standing, "", night, None).is_trouble(berlin("03:59"), MARGIN)


def test_what_became_ready_after_the_deadline_says_so() -> None:
    found = judged("05:00", Tonight({}, ready_at=berlin("04:12")))
    assert found.standing is Standing.READY
    assert found.reason.endswith("ready since 04:12, 12 minutes after 04:00")
