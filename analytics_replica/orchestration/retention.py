"""Retention: once a day landing's older batches are folded.

Here: the job and its schedule. Not here: folding (staging.fold). It is no part of the night: a
night that is late must not wait for it, and a night that fails must not keep deleted rows.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from typing import Final

import dagster as dg

from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.resources import ReplicaResource
from analytics_replica.settings.load import Settings
from analytics_replica.staging.fold import fold

RETENTION_JOB: Final = "landing_retention"

RETRIES: Final = dg.RetryPolicy(max_retries=6, delay=600)
"""An apply holds the lock for as long as it takes: tried again every ten minutes for an hour."""


@dg.op(
    name="fold",
    description="What was deleted before the retention leaves landing.",
    retry_policy=RETRIES,
)
def fold_op(context: dg.OpExecutionContext, replica: ReplicaResource) -> None:
    """Folds what is older than `landing.retention_days`."""
    with explained(context):
        done = fold(replica.settings, replica.clock, progress=replica.progress)
    context.add_output_metadata(
        {
            "base batch": done.base or 0,
            "batches removed": done.batches,
            "files removed": done.removed_files,
            "bytes removed": done.removed_bytes,
            "folded before": done.before.isoformat(),
            "waits for": done.waits_for or "nothing",
        }
    )
    if done.waits_for:
        context.log.warning("Older batches stay in landing: %s.", done.waits_for)


@dg.job(name=RETENTION_JOB, description="Folds landing's batches that are older than retention.")
def retention_job() -> None:
    """One fold."""
    fold_op()


def retention_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Every day when the edition is promised to be published; on by default."""
    deadlines = settings.replica.deadlines
    return dg.ScheduleDefinition(
        name="landing_retention_schedule",
        job=retention_job,
        cron_schedule=f"{deadlines.ready_by.minute} {deadlines.ready_by.hour} * * *",
        execution_timezone=deadlines.zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Folds landing at {deadlines.ready_by:%H:%M} {deadlines.zone}.",
    )
