"""`staging`: apply on request, and rebuild from landing alone.

Here: the commands and what they print. Not here: applying (staging.apply), rebuilding
(staging.rebuild), the night (night.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import note, say, say_json
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import (
    AlreadyRunning,
    CheckFailed,
    LandingBroken,
    LandingError,
    LandingFull,
    SettingsInvalid,
    WarehouseError,
    WarehouseUnreachable,
)
from analytics_replica.landing.layout import Store
from analytics_replica.postgres.connect import advisory_lock
from analytics_replica.settings.load import Settings
from analytics_replica.staging.apply import CHAIN_LOCK, ApplyReport, apply_pending
from analytics_replica.staging.compare import SHOWN_KEYS, Difference
from analytics_replica.staging.rebuild import PATIENCE, Asked, RebuildReport, rebuild
from analytics_replica.staging.upto import upto

_ENDS: Final = (
    SettingsInvalid,
    LandingError,
    LandingFull,
    LandingBroken,
    WarehouseError,
    WarehouseUnreachable,
    AlreadyRunning,
)

APPLY_EPILOG: Final = epilog(
    "analytics-replica staging apply --upto 2026-03-01T12:00:00+01:00", *_ENDS
)
REBUILD_EPILOG: Final = epilog(
    "analytics-replica staging rebuild --table public.orders --swap", *_ENDS, CheckFailed
)

_POINT: Final = (
    "An LSN (everything whose commit begins before it) or a commit time (ISO 8601; without a zone, "
    "deadlines.zone)."
)

Tables = Annotated[
    list[str] | None,
    typer.Option("--table", help="Only this table (again for more).", metavar="SCHEMA.NAME"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="The masked tables, as production was at one instant.",
)


@app.callback()
def staging() -> None:
    """The masked tables, as production was at one instant."""


@app.command("apply", epilog=APPLY_EPILOG)
def apply_command(
    context: typer.Context,
    upto_point: Annotated[
        str | None, typer.Option("--upto", help=_POINT, metavar="LSN|TIME")
    ] = None,
    table: Tables = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for an apply or a night that runs.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Bring staging to the last landed batch, or to a point before, in one transaction.

    With --table the others stay behind: staging is then of several instants, `status` says so,
    and the next apply of all tables (the night begins with one) heals it.
    """
    settings = Invocation.of(context).settings()
    tables = _tables(settings, table)
    point = None if upto_point is None else _point(settings, upto_point)
    dsn = settings.secrets.get(settings.replica.warehouse.dsn)
    patience = timedelta(seconds=wait)
    with advisory_lock(dsn, CHAIN_LOCK, patience), shown_progress(quiet=as_json) as progress:
        report = apply_pending(
            settings,
            SystemClock(),
            progress=progress,
            upto=None if point is None else upto(Store.of(settings), point),
            tables=tables,
            wait=patience,
        )
    if as_json:
        say_json(_applied_json(report))
    else:
        _tell_applied(report)


def _tell_applied(report: ApplyReport) -> None:
    rows = [sum((t.inserted, t.updated, t.deleted)) for t in report.tables.values()]
    say(
        f"Applied {report.batches:,} batches to {len(report.tables)} tables, "
        f"{sum(rows) if report.batches else 0:,} rows, in {report.seconds:.1f} s: they are "
        f"production at {report.position}."
    )
    for stuck, reason in sorted(report.quarantined.items()):
        note(f"{stuck} stands still: {reason}")
    if report.several_instants:
        ahead = ", ".join(f"{t} at {p}" for t, p in sorted(report.several_instants.items()))
        note(f"Staging is of several instants: {ahead}, all others at {report.staging}.")


@app.command("rebuild", epilog=REBUILD_EPILOG)
def rebuild_command(
    context: typer.Context,
    table: Tables = None,
    as_of: Annotated[str | None, typer.Option(help=_POINT, metavar="LSN|TIME")] = None,
    into: Annotated[
        str | None,
        typer.Option(help="The side schema; default: <staging>_rebuilt.", metavar="SCHEMA"),
    ] = None,
    swap: Annotated[
        bool, typer.Option("--swap", help="Put the rebuilt tables in the place of staging's.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for an apply that runs, at the end.")
    ] = PATIENCE.total_seconds(),
    as_json: AsJson = False,
) -> None:
    """Make staging again from landing alone, beside it, and compare; the nights go on meanwhile.

    Ends with 72 if staging differs and is not swapped. What is shown of rows are their keys,
    masked as in staging.
    """
    settings = Invocation.of(context).settings()
    asked = Asked(
        tables=_tables(settings, table),
        as_of=None if as_of is None else _point(settings, as_of),
        into=into,
        swap=swap,
        wait=timedelta(seconds=wait),
    )
    with shown_progress(quiet=as_json) as progress:
        report = rebuild(settings, SystemClock(), asked=asked, progress=progress)
    if as_json:
        say_json(_rebuilt_json(report))
    else:
        _say_rebuilt(report)
    if as_of is None and not swap and not report.equal:
        raise typer.Exit(CheckFailed.exit_code)


def _tables(settings: Settings, written: list[str] | None) -> frozenset[TableName]:
    try:
        tables = frozenset(map(TableName.parse, written or ()))
    except ValueError:
        raise typer.BadParameter("a table is written schema.name, as in replica.yaml") from None
    unknown = sorted(str(table) for table in tables - settings.tables.keys())
    if unknown:
        raise typer.BadParameter(f"replica.yaml has no table {', '.join(unknown)}")
    return tables


def _point(settings: Settings, written: str) -> Lsn | datetime:
    try:
        return Lsn.parse(written)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is neither an LSN nor an ISO 8601 time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=settings.replica.deadlines.tz)
        note(f"{written} has no zone: taken as {moment.isoformat()} (deadlines.zone).", "")
    return moment


def _say_rebuilt(report: RebuildReport) -> None:
    where = "staging" if report.swapped else f"schema {report.side}"
    say(
        f"Rebuilt {len(report.tables)} tables, {sum(report.tables.values()):,} rows, in "
        f"{report.seconds:.1f} s: {where} has them as of {report.position}."
    )
    for table, found in sorted(report.differences.items()):
        if found.equal:
            say(f"{table}: equal to staging, {found.rows_rebuilt:,} rows")
            continue
        note(f"{table}: {_difference(found)}")
        for key, how in found.keys:
            say(f"  ({', '.join(key)}) {how}")
    for table, why in sorted(report.not_compared.items()):
        say(f"{table}: not compared, {why}")
    for table, reason in sorted(report.quarantined.items()):
        note(f"{table} cannot be rebuilt: {reason}")
    if report.views_dropped:
        views = ", ".join(map(str, report.views_dropped))
        note(f"Dropped, until dbt makes them again: {views}.")


def _difference(found: Difference) -> str:
    says = [
        f"{count:,} rows {what}"
        for count, what in (
            (found.other_values, "have other values"),
            (found.only_in_staging, "are only in staging"),
            (found.only_rebuilt, "are only in the rebuilt table"),
        )
        if count
    ]
    if found.columns:
        says.append(f"other columns: {', '.join(found.columns)}")
    if found.differing > len(found.keys) and found.keys:
        says.append(f"the first {SHOWN_KEYS} keys")
    return "; ".join(says) or "other row counts"


def _applied_json(report: ApplyReport) -> dict[str, Any]:
    return {
        "position": str(report.position),
        "staging_position": str(report.staging),
        "batches": report.batches,
        "last_batch": report.last_batch,
        "tables": {
            str(table): {"inserted": t.inserted, "updated": t.updated, "deleted": t.deleted}
            for table, t in sorted(report.tables.items())
        },
        "quarantined": {str(t): reason for t, reason in sorted(report.quarantined.items())},
        "several_instants": {str(t): str(p) for t, p in sorted(report.several_instants.items())},
        "seconds": round(report.seconds, 3),
    }


def _rebuilt_json(report: RebuildReport) -> dict[str, Any]:
    return {
        "position": str(report.position),
        "schema": None if report.swapped else report.side,
        "swapped": report.swapped,
        "equal": report.equal,
        "tables": {str(table): rows for table, rows in sorted(report.tables.items())},
        "differences": {
            str(table): {
                "equal": found.equal,
                "rows_staging": found.rows_staging,
                "rows_rebuilt": found.rows_rebuilt,
                "other_values": found.other_values,
                "only_in_staging": found.only_in_staging,
                "only_rebuilt": found.only_rebuilt,
                "columns": list(found.columns),
                "keys": [{"key": list(key), "how": how} for key, how in found.keys],
            }
            for table, found in sorted(report.differences.items())
        },
        "not_compared": {str(t): why for t, why in sorted(report.not_compared.items())},
        "quarantined": {str(t): reason for t, reason in sorted(report.quarantined.items())},
        "views_dropped": list(map(str, report.views_dropped)),
        "seconds": round(report.seconds, 3),
    }
