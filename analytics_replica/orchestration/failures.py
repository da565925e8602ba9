"""Failures: our errors through Dagster and back, whole.

Here: an error's three sentences as metadata of the failed step, and the error again from there, so
that the command line has the right exit code and an alert the right words. Not here: who is told
(sensors.py), rebuilding errors that are not ours (postgres.firewall). What fails outside of our
code is named by its class only: its text may quote a row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import dagster as dg

from analytics_replica import errors
from analytics_replica.errors import ProgramFault, ReplicaError
from analytics_replica.postgres.firewall import only_our_errors, raise_alone

Context = dg.OpExecutionContext | dg.AssetExecutionContext | dg.AssetCheckExecutionContext

BY_SCHEDULE: Final = "dagster/schedule_name"


@contextlib.contextmanager
def explained(context: Context) -> Iterator[None]:
    """Turns every error in the block into a step failure that keeps its three sentences.

    What is not ours is rebuilt first, and nothing is chained: Dagster stores the text of causes and
    contexts. A retry is allowed if the error's class says that it helps and nobody waits at a
    terminal.
    """
    try:
        with only_our_errors():
            yield
    except ReplicaError as cause:
        failure = _failure(cause, scheduled=BY_SCHEDULE in context.run.tags)
    else:
        return
    raise_alone(failure)


def _failure(error: ReplicaError, *, scheduled: bool) -> dg.Failure:
    return dg.Failure(
        description=str(error),
        metadata={
            "error": _kind(error).__name__,
            "what": error.what,
            "why": error.why,
            "next": error.next,
            "trace": dg.MetadataValue.md("\n".join(f"    {line}" for line in error.trace)),
        },
        allow_retries=error.retry.helps and scheduled,
    )


def error_of(event: dg.DagsterEvent) -> ReplicaError:
    """The error behind a failed step; a ReplicaError that names the class if it was not ours."""
    failed = event.step_failure_data
    told = failed.user_failure_data.metadata if failed.user_failure_data else {}
    if "error" in told:
        kind = getattr(errors, str(told["error"].value), ReplicaError)
        what, why, then = (str(told[part].value) for part in ("what", "why", "next"))
        return _rebuilt(kind, what, why, then)
    return _unknown(f"The step {event.step_key} failed with {_class_of(failed.error)}")


def error_of_run(event: dg.DagsterEvent | None) -> ReplicaError:
    """The error behind a run that failed outside its steps."""
    data = event.job_failure_data if event is not None else None
    return _unknown(f"The run failed with {_class_of(data.error if data else None)}")


def _class_of(error: Any) -> str:
    """The class of the error that Dagster has wrapped (its record's type is private)."""
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.cls_name) if error is not None and error.cls_name else "an unknown error"


def _kind(cause: ReplicaError) -> type[ReplicaError]:
    """The nearest class of the tree in errors.py; others are known to their module only."""
    return next(c for c in type(cause).__mro__ if getattr(errors, c.__name__, None) is c)


def _unknown(what: str) -> ReplicaError:
    return ProgramFault(
        what=f"{what}, which is not one of our errors.",
        why="Its text may quote rows, so it is not repeated here. Readers keep the last edition.",
        next="Look at the run with `analytics-replica ui`.",
    )


def _rebuilt(kind: type[ReplicaError], what: str, why: str, then: str) -> ReplicaError:
    return kind(what=what, why=why, next=then)
