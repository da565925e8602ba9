"""Projection: when tonight will be done, if its remaining steps take as long as they usually do.

Here: the longest remaining path over the graph of steps. Pure arithmetic: no clock, no database.
Not here: where durations come from (history.py), what the result means (readiness.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import TopologicalSorter


@dataclass(frozen=True, slots=True)
class StepTonight:
    """What is known of a step tonight; a step that is not running and not done has neither."""

    started_at: datetime | None = None
    finished_at: datetime | None = None


NOT_STARTED = StepTonight()


@dataclass(frozen=True, slots=True)
class Projection:
    """The latest expected finish of all steps.

    `critical_path` is the remaining chain of steps that decides it, in order; empty if all are
    done. `step_start` is when its first step starts or started. `unknown_steps` are unfinished
    steps without a history: they were counted as instant, so with any the finish is only a lower
    bound.
    """

    latest_finish: datetime
    critical_path: tuple[str, ...]
    step_start: datetime | None
    unknown_steps: tuple[str, ...]

    @property
    def done(self) -> bool:
        """True if no step remains."""
        return not self.critical_path

    def latest_safe_start(self, deadline: datetime) -> datetime | None:
        """When the first remaining step has, or had, to start for the deadline to hold."""
        if self.step_start is None:
            return None
        return self.step_start + (deadline - self.latest_finish)


def project(
    graph: Mapping[str, Collection[str]],
    usual: Callable[[str], timedelta | None],
    tonight: Mapping[str, StepTonight],
    now: datetime,
    not_before: datetime,
) -> Projection:
    """The latest finish of all steps of `graph` (step → its parents), starting from what is known.

    A finished step keeps its finish. A running one ends after its usual duration, but not before
    `now`. Any other starts when its last parent is done, but not before `now` and `not_before`
    (the night's begin). All datetimes aware and in UTC.
    """
    finish: dict[str, datetime] = {}
    start: dict[str, datetime] = {}
    cause: dict[str, str | None] = {}
    for step in TopologicalSorter(graph).static_order():
        known = tonight.get(step, NOT_STARTED)
        if known.finished_at is not None:
            finish[step] = known.finished_at
            continue
        waits_for = [parent for parent in graph.get(step, ()) if parent in start]
        last = max(waits_for, key=lambda parent: finish[parent], default=None)
        cause[step] = None if known.started_at else last
        if known.started_at is not None:
            start[step] = known.started_at
        else:
            ready = [finish[last]] if last is not None else []
            start[step] = max([now, not_before, *ready])
        finish[step] = max(start[step] + (usual(step) or timedelta()), now)
    if not start:
        return Projection(max(finish.values(), default=now), (), None, ())
    # Of steps that end together the last in order is the end of the path: instant steps follow.
    path = _path(max(reversed(start), key=lambda step: finish[step]), cause)
    unknown = tuple(step for step in start if usual(step) is None)
    return Projection(finish[path[-1]], path, start[path[0]], unknown)


def _path(end: str, cause: Mapping[str, str | None]) -> tuple[str, ...]:
    path = [end]
    while (before := cause[path[-1]]) is not None:
        path.append(before)
    return tuple(reversed(path))
