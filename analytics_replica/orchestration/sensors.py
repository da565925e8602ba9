"""Sensors: who hears that tonight is in danger, and that a run failed.

Here: from verdicts and failed runs to troubles, and telling them. Not here: the verdict
(outlook.py), incidents and delivery (deadlines). Messages are made of names, times and our own
errors' sentences; another error is named by its class only.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

import json
from datetime import timedelta
from typing import Final

import dagster as dg

from analytics_replica.deadlines.alerts import Alerts, Told
from analytics_replica.deadlines.deadline import Deadline
from analytics_replica.deadlines.incidents import Level, Trouble
from analytics_replica.deadlines.readiness import Readiness, Standing
from analytics_replica.deadlines.sinks import sinks_of
from analytics_replica.orchestration import history, keys
from analytics_replica.orchestration.failures import error_of
from analytics_replica.orchestration.outlook import Models, outlook
from analytics_replica.orchestration.resources import Replica, ReplicaResource
from analytics_replica.postgres.firewall import only_our_errors

NIGHT_SCOPE: Final = "night"
CAPTURE_SCOPE: Final = "capture"
SCOPES: Final = {keys.NIGHTLY_JOB: NIGHT_SCOPE, keys.CAPTURE_JOB: CAPTURE_SCOPE}
"""The jobs that nobody watches: their failures are told. Whoever clicks in the UI sees his own."""

TICK_S: Final = 60


def all_sensors(deadline: Deadline, models: Models) -> list[dg.SensorDefinition]:
    """The sensors of the graph."""
    return [readiness_sensor(deadline, models), run_failures_sensor(), captures_sensor()]


def readiness_sensor(deadline: Deadline, models: Models) -> dg.SensorDefinition:
    """Warns before the deadline, once for each cause and level; says when the night is ready."""

    @dg.sensor(
        name="readiness",
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Projects tonight's finish and alerts before the deadline, not after it.",
    )
    def readiness(context: dg.SensorEvaluationContext, replica: ReplicaResource) -> dg.SkipReason:
        with only_our_errors():
            now = replica.clock.now()
            verdict = outlook(context.instance, deadline, models, now)
            margin = timedelta(minutes=replica.settings.replica.deadlines.warn_before_minutes)
            troubles = [_of_readiness(verdict)] if verdict.is_trouble(now, margin) else []
            healed = [NIGHT_SCOPE] if verdict.standing is Standing.READY else []
            said = json.loads(context.cursor or "[]")
            told = _alerts(replica).tell(troubles, healed, now, said)
            context.update_cursor(json.dumps([] if told.stored else [*said, *told.direct]))
            return dg.SkipReason(_spoken(verdict, told))

    return readiness


def run_failures_sensor() -> dg.SensorDefinition:
    """Tells of a failed nightly or capture run, once for each cause."""

    @dg.run_failure_sensor(
        name="run_failures",
        # Also runs that were started in a terminal: they have no code location.
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts when the nightly chain or a capture failed.",
    )
    def run_failures(
        context: dg.RunFailureSensorContext, replica: ReplicaResource
    ) -> dg.SkipReason | None:
        if context.dagster_run.job_name not in SCOPES:
            return dg.SkipReason("somebody started this run by hand and sees it")
        with only_our_errors():
            _alerts(replica).tell([_of_failure(context)], [], replica.clock.now())
        return None

    return run_failures


def captures_sensor() -> dg.SensorDefinition:
    """Ends the incidents of capture when a capture succeeds."""

    @dg.run_status_sensor(
        name="capture_recovered",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says that capture works again.",
    )
    def capture_recovered(
        context: dg.RunStatusSensorContext, replica: ReplicaResource
    ) -> dg.SkipReason | None:
        if context.dagster_run.job_name not in SCOPES:
            return dg.SkipReason("this run says nothing of capture")
        with only_our_errors():
            _alerts(replica).tell([], [CAPTURE_SCOPE], replica.clock.now())
        return None

    return capture_recovered


def _of_readiness(verdict: Readiness) -> Trouble:
    levels = {Standing.UNKNOWN: Level.UNKNOWN, Standing.AT_RISK: Level.AT_RISK}
    failed = verdict.failure
    return Trouble(
        # A failed run and the risk that it makes are one cause and one incident.
        cause=failed.cause if failed else f"readiness:{verdict.night.day}",
        scope=NIGHT_SCOPE,
        level=levels.get(verdict.standing, Level.LATE),
        headline=verdict.reason,
        next="Open the newest run of the job `nightly` with `analytics-replica ui`; if there is "
        "none, start it with `analytics-replica run`.",
        facts={
            "deadline": f"{verdict.night.deadline:%Y-%m-%d %H:%M %Z}",
            "expected": f"{verdict.eta:%Y-%m-%d %H:%M %Z}" if verdict.eta else "unknown",
            "hurt": "readers of schema analytics keep the last edition",
        },
    )


def _of_failure(context: dg.RunFailureSensorContext) -> Trouble:
    run = context.dagster_run
    failed = context.get_step_failure_events()
    step = failed[0].step_key if failed and failed[0].step_key else "start"
    error = error_of(failed[0]) if failed else None
    what = error.what if error else "The run failed before its first step."
    return Trouble(
        cause=history.cause_of(run.job_name, step),
        scope=SCOPES[run.job_name],
        level=Level.AT_RISK,
        headline=f"{run.job_name} failed at {history.STAGES.get(step, step)}: {what}",
        next=error.next if error else "Look at the run's first event with `analytics-replica ui`.",
        facts={
            "run": run.run_id,
            "means": error.why if error else "Nothing was captured, built or published.",
            "hurt": "readers of schema analytics keep the last edition",
        },
    )


def _alerts(replica: Replica) -> Alerts:
    return Alerts(replica.warehouse_dsn, sinks_of(replica.settings))


def _spoken(verdict: Readiness, told: Told) -> str:
    said = f" Told: {'; '.join(told.subjects)}." if told.subjects else ""
    refused = "".join(f" {sink} refused: {why}" for sink, why in told.refused.items())
    unstored = "" if told.stored else " The warehouse could not keep the incident."
    return f"{verdict.standing}: {verdict.reason}.{said}{refused}{unstored}"
