"""Failures: our errors through Dagster and back, whole.

Here: an error's three sentences as metadata of the failed step, and the error again from there, so
that the command line has the right exit code and an alert the right words. Not here: who is told
(sensors.py). An error that is not ours is named by its class only: its text may quote a row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import dagster as dg

from analytics_replica import errors
from analytics_replica.errors import ReplicaError

BY_SCHEDULE: Final = "dagster/schedule_name"


@contextlib.contextmanager
def explained(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Iterator[None]:
    """Turns a ReplicaError in the block into a step failure that keeps its three sentences.

    A retry is allowed if the error's class says that it helps and nobody waits at a terminal.
    """
    try:
        yield
    except ReplicaError as cause:
        scheduled = BY_SCHEDULE in context.run.tags
        raise dg.Failure(
            description=str(cause),
            metadata={
                "error": type(cause).__name__,
                "what": cause.what,
                "why": cause.why,
                "next": cause.next,
            },
            allow_retries=cause.retry.helps and scheduled,
        ) from cause


def error_of(event: dg.DagsterEvent) -> ReplicaError:
    """The error behind a failed step; a ReplicaError that names the class if it was not ours."""
    failed = event.step_failure_data
    told = failed.user_failure_data.metadata if failed.user_failure_data else {}
    if "error" in told:
        kind = getattr(errors, str(told["error"].value), ReplicaError)
        return _rebuilt(kind, *(str(told[part].value) for part in ("what", "why", "next")))
    name = failed.error.cls_name if failed.error else "unknown"
    return ReplicaError(
        what=f"The step {event.step_key} failed with {name}, which is not one of our errors.",
        why="Nothing was published; readers keep the last edition.",
        next=f"Look at the step's log: `analytics-replica ui`, then the run {event_run(event)}.",
    )


def event_run(event: dg.DagsterEvent) -> str:
    """How the run of this event is named to people."""
    handle = event.step_handle
    return f"with the step {handle.to_key()}" if handle else "of this night"


def _rebuilt(kind: type[ReplicaError], what: str, why: str, then: str) -> ReplicaError:
    return kind(what=what, why=why, next=then)
