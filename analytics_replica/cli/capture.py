"""`capture`: land what production committed, once or on and on.

Here: the command and what it prints. Not here: the capture itself (landing.capture), the service
(follow.py).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.follow import follow_until_stopped
from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import note, say, say_json, show_table
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.errors import (
    AlreadyRunning,
    LandingFull,
    PolicyViolation,
    PositionMismatch,
    SettingsInvalid,
    SlotBusy,
    SourceNotPrepared,
    SourceUnreachable,
)
from analytics_replica.landing.capture import capture
from analytics_replica.landing.report import CaptureReport

EPILOG: Final = epilog(
    "analytics-replica capture",
    SettingsInvalid,
    SourceUnreachable,
    SourceNotPrepared,
    SlotBusy,
    PositionMismatch,
    PolicyViolation,
    LandingFull,
    AlreadyRunning,
)


def capture_command(
    context: typer.Context,
    first_copy: Annotated[
        bool, typer.Option("--first-copy", help="Copy all tables anew, from a new base backup.")
    ] = False,
    following: Annotated[
        bool, typer.Option("--follow", help="Go on as a service, until SIGTERM or Ctrl-C.")
    ] = False,
    every: Annotated[
        int, typer.Option(min=1, help="--follow: seconds after which changes are landed.")
    ] = 60,
    tell_dagster: Annotated[
        bool,
        typer.Option(
            "--tell-dagster", help="--follow: tell Dagster of each batch (needs DAGSTER_HOME)."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Land everything that production committed before now, masked, then stop.

    The first capture copies all tables from a base backup; later ones go on where the last one
    ended. Repeating it is harmless. While a follower runs, it is asked to land the present.
    """
    if following:
        if first_copy:
            raise typer.BadParameter("--first-copy and --follow do not go together: copy first")
        follow_until_stopped(
            Invocation.of(context),
            timedelta(seconds=every),
            as_json=as_json,
            tell_dagster=tell_dagster,
        )
        return
    settings = Invocation.of(context).settings()
    with shown_progress(quiet=as_json) as progress:
        report = capture(settings, SystemClock(), progress=progress, first_copy=first_copy)
    _show(report, as_json=as_json)


def _show(report: CaptureReport, *, as_json: bool) -> None:
    if as_json:
        say_json(_as_json(report))
        return
    how = "The first copy and what followed it" if report.first_copy else "Everything new"
    say(
        f"{how} is landed: {sum(report.rows.values()):,} events in {len(report.manifests):,} "
        f"batches up to {report.position}, in {report.seconds:.1f} s."
    )
    if report.rows:
        rows = sorted(report.rows.items())
        show_table(("table", "events"), [(table, f"{count:,}") for table, count in rows])
    for table, why in report.incomplete.items():
        note(
            f"{table} {why}; the other tables went on. Have the DBA run what `analytics-replica "
            f"source sql` prints, then copy it again: `analytics-replica resync {table}`."
        )
    for table in report.unlisted:
        note(f"{table} is published, and replica.yaml does not list it: it is left out.")
    say(f"Production keeps {report.slot.retained_bytes / 2**20:,.1f} MB of log for us.")


def _as_json(report: CaptureReport) -> dict[str, Any]:
    return {
        "position": str(report.position),
        "first_copy": report.first_copy,
        "batches": len(report.manifests),
        "events": {str(table): count for table, count in sorted(report.rows.items())},
        "incomplete": {str(table): why for table, why in sorted(report.incomplete.items())},
        "unlisted": [str(table) for table in report.unlisted],
        "retained_bytes": report.slot.retained_bytes,
        "seconds": round(report.seconds, 3),
    }
