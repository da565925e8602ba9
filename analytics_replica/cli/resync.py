"""`resync`: some tables again, while everything else goes on.

Here: the command and what it prints. Not here: the copy (landing.resync).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import say, say_json, show_table
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import (
    AlreadyRunning,
    CopyFailed,
    LandingFull,
    PolicyViolation,
    PositionMismatch,
    SettingsInvalid,
    SourceNotPrepared,
    SourceUnreachable,
)
from analytics_replica.landing.resync import PATIENCE, ResyncReport, resync

EPILOG: Final = epilog(
    "analytics-replica resync shop.orders shop.customers",
    SettingsInvalid,
    SourceUnreachable,
    SourceNotPrepared,
    PositionMismatch,
    CopyFailed,
    PolicyViolation,
    LandingFull,
    AlreadyRunning,
)


def resync_command(
    context: typer.Context,
    tables: Annotated[
        list[str], typer.Argument(help="The tables, as replica.yaml names them.", metavar="TABLE…")
    ],
    wait_minutes: Annotated[
        int, typer.Option(min=0, help="How long to wait for a running capture to land the copy.")
    ] = int(PATIENCE.total_seconds() // 60),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Copy tables again from a physical copy and land them, while the others go on.

    For a table that stands still, that got a column with a default, or that is new in
    replica.yaml. Production's tables are not read. The next apply swaps the rows in whole.
    """
    settings = Invocation.of(context).settings()
    wanted = [_named(written) for written in tables]
    with shown_progress(quiet=as_json) as progress:
        report = resync(
            settings,
            SystemClock(),
            wanted,
            progress=progress,
            patience=timedelta(minutes=wait_minutes),
        )
    if as_json:
        say_json(_as_json(report))
        return
    by = "the running capture" if report.by_other else "this command"
    say(
        f"{sum(report.rows.values()):,} rows as they were at {report.position} are landed as batch "
        f"{report.sequence} by {by}, in {report.seconds:.1f} s. The next apply brings them in."
    )
    show_table(("table", "rows"), [(t, f"{count:,}") for t, count in sorted(report.rows.items())])


def _named(written: str) -> TableName:
    try:
        return TableName.parse(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not written as schema.name") from None


def _as_json(report: ResyncReport) -> dict[str, Any]:
    return {
        "position": str(report.position),
        "batch": report.sequence,
        "rows": {str(table): count for table, count in sorted(report.rows.items())},
        "landed_by_other": report.by_other,
        "seconds": round(report.seconds, 3),
    }
