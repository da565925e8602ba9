"""Run history as the arithmetic of deadlines wants it.

Here: durations of past nights, what is known of tonight, and the graph of steps, all read from
Dagster's records. Not here: what they mean (deadlines). Durations of a whole night are kept on
`ready`'s materialization, so that thirty nights are one read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import dagster as dg
from dagster import AssetRecordsFilter, DagsterRunStatus, EventLogEntry, RunRecord, RunsFilter

from analytics_replica.deadlines.deadline import Night
from analytics_replica.deadlines.history import StepHistory
from analytics_replica.deadlines.projection import StepTonight
from analytics_replica.deadlines.readiness import Failure, Tonight
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.metadata import DURATIONS

NIGHTS: Final = 30
"""A month: long enough for a p95, short enough to follow growth."""

DBT_SECONDS: Final = "Execution Duration"
"""dagster-dbt's name for the seconds of one model."""

STAGES: Final[Mapping[str, str]] = {
    keys.CAPTURE_STEP: "raw",
    keys.RAW_CHECKS_STEP: "raw checks",
    keys.APPLY_STEP: "staging",
    keys.STAGING_CHECKS_STEP: "staging checks",
    keys.GOLD_STEP: "gold",
    keys.GOLD_CHECKS_STEP: "gold checks",
    keys.READY_STEP: "ready",
}
"""Dagster's steps → the stages that people hear of, in order."""

RUNNING: Final = frozenset(
    {
        DagsterRunStatus.QUEUED,
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
    }
)
FAILED: Final = frozenset(
    {DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED, DagsterRunStatus.CANCELING}
)


def step_graph(models: Mapping[dg.AssetKey, Iterable[dg.AssetKey]]) -> dict[str, set[str]]:
    """Step → parents: the stages in a row, the models of gold beside their stage.

    A model can start when its parents are done; the stage `gold` holds dbt's own start, its tests
    and its limited threads, so it is usually the longer way.
    """
    stages = list(STAGES.values())
    graph: dict[str, set[str]] = {stages[0]: set()}
    for before, stage in pairwise(stages):
        graph[stage] = {before}
    for key, parents in models.items():
        among = {_name(parent) for parent in parents if parent in models}
        graph[_name(key)] = among or {"staging checks"}
        graph["ready"].add(_name(key))
    return graph


def durations_of(
    instance: dg.DagsterInstance, run_id: str, models: Iterable[dg.AssetKey]
) -> dict[str, float]:
    """Seconds by step of one run: of its finished stages, and of the models that it built."""
    stats = instance.get_run_step_stats(run_id)
    seconds = {
        STAGES[step.step_key]: round(step.end_time - step.start_time, 3)
        for step in stats
        if step.step_key in STAGES and step.start_time and step.end_time
    }
    for key, event in instance.get_latest_materialization_events(list(models)).items():
        took = _dbt_seconds(event, run_id)
        if took is not None:
            seconds[_name(key)] = round(took, 3)
    return seconds


def past_nights(instance: dg.DagsterInstance, nights: int = NIGHTS) -> StepHistory:
    """Durations of the last nights that became ready."""
    found: dict[str, list[timedelta]] = defaultdict(list)
    records = instance.fetch_materializations(
        AssetRecordsFilter(asset_key=keys.READY), limit=nights
    ).records
    for record in records:
        told = record.asset_materialization.metadata if record.asset_materialization else {}
        durations = told.get(DURATIONS)
        if isinstance(durations, dg.JsonMetadataValue) and isinstance(durations.data, dict):
            for step, seconds in durations.data.items():
                found[step].append(timedelta(seconds=float(seconds)))
    return StepHistory(found)


def tonight(instance: dg.DagsterInstance, night: Night, models: Iterable[dg.AssetKey]) -> Tonight:
    """What the night's runs and materializations say: steps, readiness, an open failure."""
    since = night.begins.timestamp()
    events = instance.get_latest_materialization_events([*models, keys.READY])
    done = {
        key: event.timestamp
        for key, event in events.items()
        if event is not None and event.timestamp >= since
    }
    ready_at = done.pop(keys.READY, None)
    recent = instance.get_run_records(RunsFilter(job_name=keys.NIGHTLY_JOB), limit=5)
    runs = [run for run in recent if _began(run) >= since]
    steps = _stages(instance, runs[0]) if runs else {}
    steps |= {_name(key): StepTonight(finished_at=_moment(at)) for key, at in done.items()}
    return Tonight(
        steps=steps,
        ready_at=None if ready_at is None else _moment(ready_at),
        failure=_failure(instance, runs),
    )


def first_seen(instance: dg.DagsterInstance) -> datetime | None:
    """When the first run was made: earlier nights were never promised."""
    records = instance.get_run_records(limit=1, ascending=True)
    return _moment(_began(records[0])) if records else None


def cause_of(job: str, step: str) -> str:
    """The fingerprint of a failed run: the same step of the same job is the same cause."""
    return f"run:{job}:{step}"


def _stages(instance: dg.DagsterInstance, run: RunRecord) -> dict[str, StepTonight]:
    stages = {}
    for step in instance.get_run_step_stats(run.dagster_run.run_id):
        if step.step_key in STAGES and step.start_time is not None:
            succeeded = step.status is not None and step.status.value == "SUCCESS"
            finished = _moment(step.end_time) if succeeded and step.end_time else None
            gone = finished is None and run.dagster_run.status not in RUNNING
            if not gone:
                started = _moment(step.start_time)
                stages[STAGES[step.step_key]] = StepTonight(started, finished)
    return stages


def _failure(instance: dg.DagsterInstance, runs: list[RunRecord]) -> Failure | None:
    if not runs or runs[0].dagster_run.status not in FAILED:
        return None
    run = runs[0]
    stats = instance.get_run_step_stats(run.dagster_run.run_id)
    broken = [s for s in stats if s.status is not None and s.status.value == "FAILURE"]
    step = broken[0].step_key if broken else "start"
    ended = run.end_time or _began(run)
    return Failure(_moment(ended), STAGES.get(step, step), cause_of(keys.NIGHTLY_JOB, step))


def _dbt_seconds(event: EventLogEntry | None, run_id: str) -> float | None:
    if event is None or event.run_id != run_id or event.asset_materialization is None:
        return None
    told = event.asset_materialization.metadata.get(DBT_SECONDS)
    return None if told is None else float(str(told.value))


def _began(run: RunRecord) -> float:
    return run.start_time or run.create_timestamp.timestamp()


def _name(key: dg.AssetKey) -> str:
    return key.to_user_string()


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
