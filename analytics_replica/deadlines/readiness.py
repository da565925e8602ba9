"""Readiness: whether tonight will be ready in time, and why, in one sentence.

Here: the verdict out of a projection and what is known of tonight. Not here: the arithmetic
(projection.py), who is told (incidents.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from analytics_replica.deadlines.deadline import Night, elapsed
from analytics_replica.deadlines.projection import NOT_STARTED, Projection, StepTonight

START_GRACE: Final = timedelta(minutes=5)
"""A run is created, queued and loaded within this time; after it, a night that shows no step is
not late to start but not coming."""


class Standing(StrEnum):
    """How tonight stands. Only READY means that readers have tonight's edition."""

    READY = "READY"
    ON_TRACK = "ON_TRACK"
    AT_RISK = "AT_RISK"
    LATE = "LATE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Failure:
    """Tonight's run failed and none has taken its place. `cause` is its incident's fingerprint."""

    at: datetime
    step: str
    cause: str


@dataclass(frozen=True, slots=True)
class Tonight:
    """What is known of tonight: its steps, when it became ready, and an open failure."""

    steps: Mapping[str, StepTonight]
    ready_at: datetime | None = None
    failure: Failure | None = None

    @property
    def begun(self) -> bool:
        """True if any step of tonight has started or finished."""
        return any(step != NOT_STARTED for step in self.steps.values())


@dataclass(frozen=True, slots=True)
class Readiness:
    """The verdict on one night; `eta` is when it will be, or was, ready as far as is known."""

    standing: Standing
    reason: str
    night: Night
    eta: datetime | None
    failure: Failure | None = None

    def is_trouble(self, now: datetime, margin: timedelta) -> bool:
        """True if somebody must hear; not knowing counts from `margin` before the deadline."""
        match self.standing:
            case Standing.AT_RISK | Standing.LATE:
                return True
            case Standing.UNKNOWN:
                return elapsed(now, self.night.deadline) <= margin
            case Standing.READY | Standing.ON_TRACK:
                return False


def judge(now: datetime, night: Night, tonight: Tonight, projection: Projection) -> Readiness:
    """The verdict at `now`, with its reason in one sentence that begins with the time of day."""
    at = f"{_clock(now, night)} {night.deadline.tzinfo}"
    due = _clock(night.deadline, night)

    def verdict(standing: Standing, says: str, eta: datetime | None) -> Readiness:
        return Readiness(standing, f"{at}: {says}", night, eta, tonight.failure)

    if tonight.ready_at is not None:
        kept = _against(tonight.ready_at, night)
        says = f"ready since {_clock(tonight.ready_at, night)}, {kept} {due}"
        return verdict(Standing.READY, says, tonight.ready_at)
    failed = tonight.failure
    stuck = _stuck(now, night, tonight, projection)
    known = not projection.unknown_steps
    eta = projection.latest_finish if known else None
    ends = f"p95 finish {_clock(eta, night)}" if eta else "no finish can be foretold"
    if now >= night.deadline:
        return verdict(Standing.LATE, f"{due} has passed and {stuck}; {ends}", eta)
    if failed is not None:
        return verdict(Standing.AT_RISK, f"{stuck}; {ends} if it starts now", eta)
    if elapsed(night.begins, now) > START_GRACE and not tonight.begun:
        return verdict(Standing.AT_RISK, f"{stuck}; it was to begin {_begin(night)}; {ends}", eta)
    if eta is None:
        steps = ", ".join(projection.unknown_steps[:3])
        says = f"no past night says how long {steps} takes, so nobody can tell if {due} holds"
        return verdict(Standing.UNKNOWN, says, None)
    if eta > night.deadline:
        by = _start_by(now, projection, night)
        return verdict(Standing.AT_RISK, f"{stuck}; {ends}; {by}", eta)
    return verdict(Standing.ON_TRACK, f"{ends}, {_against(eta, night)} {due}", eta)


def _stuck(now: datetime, night: Night, tonight: Tonight, projection: Projection) -> str:
    if tonight.failure is not None:
        failed = tonight.failure
        return f"the run failed at {failed.step} at {_clock(failed.at, night)} and nothing runs"
    step = projection.critical_path[0] if projection.critical_path else "ready"
    started = tonight.steps.get(step, NOT_STARTED).started_at
    if started is None:
        return f"{step} has not started"
    return f"{step} has run for {_minutes(elapsed(started, now))}"


def _start_by(now: datetime, projection: Projection, night: Night) -> str:
    latest = projection.latest_safe_start(night.deadline)
    if latest is None:
        return "nothing remains to start"
    return f"it {'had' if latest <= now else 'has'} to start by {_clock(latest, night)}"


def _against(finish: datetime, night: Night) -> str:
    if finish <= night.deadline:
        return f"{_minutes(elapsed(finish, night.deadline))} before"
    return f"{_minutes(elapsed(night.deadline, finish))} after"


def _begin(night: Night) -> str:
    return f"at {_clock(night.begins, night)}"


def _clock(moment: datetime, night: Night) -> str:
    return f"{moment.astimezone(night.deadline.tzinfo):%H:%M}"


def _minutes(span: timedelta) -> str:
    whole = max(0, round(span / timedelta(minutes=1)))
    if whole >= 120:
        return f"{whole // 60} h {whole % 60:02d} min"
    return f"{whole} minute{'' if whole == 1 else 's'}"
