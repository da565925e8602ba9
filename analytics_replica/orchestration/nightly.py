"""One night, run in this process: what `analytics-replica run` and the demo do.

Here: running the nightly job, telling each step as it ends, and what came of it. Not here: the
steps. The schedule starts the same job through Dagster's daemon.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, EventLogEntry

from analytics_replica.errors import ReplicaError
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.failures import error_of, error_of_run
from analytics_replica.orchestration.history import STAGES
from analytics_replica.orchestration.metadata import AS_OF, EDITION, POSITION
from analytics_replica.orchestration.pools import free_abandoned
from analytics_replica.orchestration.resources import replica_of

QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's console log is for services; people get the steps, and the UI has the rest."""


class StepState(StrEnum):
    """What a step is doing or did."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepEvent:
    """A step began or ended; `seconds` once it ended."""

    stage: str
    state: StepState
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class NightlyReport:
    """What a night came to.

    `steps` in order, each with how it ended; `error` is the first failure, None if the edition was
    published. `failed_checks` are `asset: check`, without mere doubts. `published` has edition,
    position and data-as-of as text.
    """

    run_id: str
    steps: tuple[StepEvent, ...]
    error: ReplicaError | None
    failed_checks: tuple[str, ...]
    published: dict[str, str]

    @property
    def succeeded(self) -> bool:
        """True if tonight's edition is published."""
        return self.error is None


OnEvent = Callable[[StepEvent], None]


def run_nightly(
    definitions: dg.Definitions, instance: dg.DagsterInstance, on_event: OnEvent = lambda _: None
) -> NightlyReport:
    """Runs the whole night here and now; an error of a step is in the report, not raised.

    A claim on the slot that a killed process left is freed first. `on_event` hears each step begin
    and end, in this thread; standard output is closed to it, as to dbt.
    """
    return _run(definitions, instance, keys.NIGHTLY_JOB, on_event)


def run_capture(
    definitions: dg.Definitions, instance: dg.DagsterInstance, on_event: OnEvent = lambda _: None
) -> NightlyReport:
    """Runs one capture with its checks, as the intraday schedule does."""
    return _run(definitions, instance, keys.CAPTURE_JOB, on_event)


def _run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, on_event: OnEvent
) -> NightlyReport:
    replica = replica_of(definitions)
    free_abandoned(instance, lambda: replica.warehouse_dsn)
    run_id = str(uuid.uuid4())
    ended: list[StepEvent] = []
    with _listening(instance, run_id, ended, on_event), quiet_dbt():
        result = definitions.resolve_job_def(job).execute_in_process(
            run_config=QUIET, instance=instance, raise_on_error=False, run_id=run_id
        )
    return NightlyReport(
        run_id=run_id,
        steps=tuple(ended),
        error=_error(result),
        failed_checks=tuple(
            f"{check.asset_key.to_user_string()}: {check.check_name}"
            for check in result.get_asset_check_evaluations()
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
        ),
        published=_published(result),
    )


@contextmanager
def quiet_dbt() -> Iterator[None]:
    """Keeps dbt's chatter off standard output, which belongs to results; its log file has it."""
    with redirect_stdout(io.StringIO()):
        yield


@contextmanager
def _listening(
    instance: dg.DagsterInstance, run_id: str, ended: list[StepEvent], on_event: OnEvent
) -> Iterator[None]:
    started: dict[str, float] = {}

    def hear(entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        state = _STATES.get(event.event_type)
        if state is None:
            return
        since = started.setdefault(event.step_key, entry.timestamp)
        took = None if state is StepState.STARTED else round(entry.timestamp - since, 3)
        told = StepEvent(STAGES.get(event.step_key, event.step_key), state, took)
        if took is not None:
            ended.append(told)
        on_event(told)

    instance.add_event_listener(run_id, hear)
    yield


_STATES: Final = {
    DagsterEventType.STEP_START: StepState.STARTED,
    DagsterEventType.STEP_SUCCESS: StepState.SUCCEEDED,
    DagsterEventType.STEP_FAILURE: StepState.FAILED,
    DagsterEventType.STEP_SKIPPED: StepState.SKIPPED,
}


def _error(result: dg.ExecuteInProcessResult) -> ReplicaError | None:
    if result.success:
        return None
    failed = [event for event in result.all_events if event.is_step_failure]
    if failed:
        return error_of(failed[0])
    return error_of_run(_run_failure(result))


def _run_failure(result: dg.ExecuteInProcessResult) -> DagsterEvent | None:
    found = [e for e in result.all_events if e.event_type is DagsterEventType.RUN_FAILURE]
    return found[-1] if found else None


def _published(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    for event in result.get_asset_materialization_events():
        if event.asset_key == keys.READY:
            told = event.materialization.metadata
            return {name: _text(told[name]) for name in (EDITION, POSITION, AS_OF) if name in told}
    return {}


def _text(value: dg.MetadataValue[Any]) -> str:
    if isinstance(value, dg.TimestampMetadataValue):
        return f"{datetime.fromtimestamp(value.value, UTC):%Y-%m-%d %H:%M:%S %Z}"
    return str(value.value)
