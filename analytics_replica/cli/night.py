"""`run` and `check`: the night's chain now, and every asset check on what is there.

Here: the two commands. Not here: the chain and the checks (orchestration).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import note, say, say_json, show_error
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.errors import (
    AlreadyRunning,
    CheckFailed,
    LandingError,
    NotReady,
    PublishRefused,
    SettingsInvalid,
    SourceError,
    WarehouseUnreachable,
)

if TYPE_CHECKING:
    from analytics_replica.orchestration.checks_runner import CheckOutcome
    from analytics_replica.orchestration.nightly import NightlyReport, StepEvent

RUN_EPILOG: Final = epilog(
    "analytics-replica run",
    SettingsInvalid,
    SourceError,
    LandingError,
    WarehouseUnreachable,
    PublishRefused,
    AlreadyRunning,
    NotReady,
    CheckFailed,
)
CHECK_EPILOG: Final = epilog(
    "analytics-replica check", SettingsInvalid, WarehouseUnreachable, CheckFailed
)

_MARKS: Final = {"succeeded": ("ok", "green"), "failed": ("no", "bold red"), "skipped": ("--", "")}


def run_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run tonight's whole chain now: capture, apply, build, check, publish.

    The same job as the nightly schedule's, in this process; Dagster records it. Readers keep the
    last edition unless every blocking check passes. Running it again is harmless.
    """
    from analytics_replica.orchestration.nightly import run_nightly  # noqa: PLC0415 - see _graph

    def tell(event: StepEvent) -> None:
        if event.seconds is not None and not as_json:
            mark, style = _MARKS[event.state.value]
            note(f"{mark:>4}  {event.stage}, {event.seconds:.1f} s", style)

    with (
        shown_progress(quiet=as_json) as progress,
        _graph(Invocation.of(context), progress) as (graph, instance),
    ):
        report = run_nightly(graph, instance, tell)
    if as_json:
        say_json(_run_json(report))
    elif report.succeeded:
        shown = ", ".join(f"{name} {value}" for name, value in report.published.items())
        say(f"Ready: {shown}.", "bold green")
    for failed in () if as_json else report.failed_checks:
        say(f"Failed check: {failed}", "red")
    if report.error is not None:
        if as_json:
            show_error(report.error)
            raise typer.Exit(report.error.exit_code)
        raise report.error


def check_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcomes as JSON.")] = False,
) -> None:
    """Run every asset check on what is there now; nothing is materialized or published.

    Ends with 72 if a check failed, and also if one did not run: not knowing is not passing.
    """
    # Dagster takes 4 s to import (2026-11-21); `--help` and `capture` do not wait for it.
    from analytics_replica.orchestration.checks_runner import run_all_checks  # noqa: PLC0415

    with _graph(Invocation.of(context)) as (graph, instance):
        outcomes = run_all_checks(graph, instance)
    bad = [outcome for outcome in outcomes if outcome.is_bad]
    if as_json:
        say_json({"passed": not bad, "checks": [_check_json(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            style = "bold red" if outcome.is_bad else ""
            says = "" if outcome.state.value == "passed" else f": {outcome.says}"
            say(f"{outcome.state.value:>8}  {outcome.asset} {outcome.check}{says}", style)
        say(f"\n{len(outcomes) - len(bad)} of {len(outcomes)} checks stand.", "bold")
    if bad:
        names = ", ".join(f"{o.asset} {o.check} ({o.state.value})" for o in bad[:3])
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise CheckFailed(
            what=f"{len(bad)} of {len(outcomes)} checks do not stand: {names}{more}.",
            why="What fails here would keep tonight's edition from being published.",
            next="Look at the first one above; `analytics-replica ui` shows it with its history.",
        )


@contextlib.contextmanager
def _graph(invocation: Invocation, progress: Progress = SILENT) -> Iterator[tuple[Any, Any]]:
    """The code location of these settings, and Dagster's instance for the block.

    Their types are Dagster's, which only orchestration knows; they are handed on as they are.
    """
    # Dagster takes 4 s to import (2026-11-21); `--help` and `capture` do not wait for it.
    from analytics_replica.definitions import build_definitions  # noqa: PLC0415
    from analytics_replica.orchestration.instance import open_instance  # noqa: PLC0415

    settings = invocation.settings_for_dagster()
    graph = build_definitions(settings, SystemClock(), progress)
    with open_instance(settings) as instance:
        yield graph, instance


def _run_json(report: NightlyReport) -> dict[str, Any]:
    error = report.error
    return {
        "ready": report.succeeded,
        "run_id": report.run_id,
        "steps": [
            {"stage": step.stage, "state": step.state.value, "seconds": step.seconds}
            for step in report.steps
        ],
        "published": report.published,
        "failed_checks": list(report.failed_checks),
        "error": None
        if error is None
        else {
            "error": type(error).__name__,
            "exit_code": error.exit_code,
            "what": error.what,
            "next": error.next,
        },
    }


def _check_json(outcome: CheckOutcome) -> dict[str, str]:
    return {
        "asset": outcome.asset,
        "check": outcome.check,
        "state": outcome.state.value,
        "says": outcome.says,
    }
