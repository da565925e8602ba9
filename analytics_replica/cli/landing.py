"""`landing fold`: what was deleted leaves landing.

Here: the command and what it prints. Not here: folding (staging.fold).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import note, say, say_json
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.errors import (
    AlreadyRunning,
    LandingBroken,
    LandingError,
    LandingFull,
    SettingsInvalid,
    WarehouseUnreachable,
)
from analytics_replica.staging.fold import FoldReport, fold

EPILOG: Final = epilog(
    "analytics-replica landing fold --older-than 7",
    SettingsInvalid,
    LandingError,
    LandingFull,
    LandingBroken,
    WarehouseUnreachable,
    AlreadyRunning,
)

NOW: Final = "now"

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="The masked batches that staging is made of.",
)


@app.callback()
def landing() -> None:
    """The masked batches that staging is made of."""


@app.command("fold", epilog=EPILOG)
def fold_command(
    context: typer.Context,
    older_than: Annotated[
        int | None,
        typer.Option(min=0, help="Days; default: landing.retention_days.", metavar="DAYS"),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="Instead of days: a time (ISO 8601, UTC), or `now`.", metavar="TIME"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Replace older batches by one base: rows that were deleted are in no file any more.

    A job does this every day. Only what staging contains is folded; staging can be rebuilt as
    before. Captures may run meanwhile.
    """
    clock = SystemClock()
    moment = _moment(clock.now(), older_than, before)
    settings = Invocation.of(context).settings()
    with shown_progress(quiet=as_json) as progress:
        report = fold(settings, clock, before=moment, progress=progress)
    if as_json:
        say_json(_as_json(report))
        return
    if report.base is None:
        say(f"No batch before {report.before:%F %H:%M} UTC can be folded: landing stays as it is.")
    else:
        say(
            f"Batch {report.base} is the base ({report.position}): {report.batches:,} batches and "
            f"{report.removed_files:,} files ({report.removed_bytes:,} bytes) are gone, "
            f"{sum(report.rows.values()):,} rows are left, in {report.seconds:.1f} s."
        )
    if report.waits_for:
        note(f"Later batches stay: {report.waits_for}.", "")


def _moment(now: datetime, days: int | None, written: str | None) -> datetime | None:
    if days is not None and written is not None:
        raise typer.BadParameter("give --older-than or --before, not both")
    if days is not None:
        return now - timedelta(days=days)
    if written is None:
        return None
    if written == NOW:
        return now
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is neither an ISO 8601 time nor `now`") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _as_json(report: FoldReport) -> dict[str, Any]:
    return {
        "base": report.base,
        "position": None if report.position is None else str(report.position),
        "before": report.before.isoformat(),
        "batches_removed": report.batches,
        "files_removed": report.removed_files,
        "bytes_removed": report.removed_bytes,
        "rows": {str(table): count for table, count in sorted(report.rows.items())},
        "waits_for": report.waits_for or None,
        "seconds": round(report.seconds, 3),
    }
