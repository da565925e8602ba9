"""`keys`: which masking key is where, and changing over to the active one.

Here: the commands and what they print. Not here: what is read (key_places.py), the rotation
(landing.rotation), keys themselves, which nobody prints.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.key_places import KeyPlaces, key_places
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import say, say_json, show_table
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
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
from analytics_replica.landing.resync import PATIENCE
from analytics_replica.landing.rotation import RotationReport, rotate

STATUS_EPILOG: Final = epilog("analytics-replica keys status --json", SettingsInvalid)
ROTATE_EPILOG: Final = epilog(
    "analytics-replica keys rotate",
    SettingsInvalid,
    SourceUnreachable,
    SourceNotPrepared,
    PositionMismatch,
    CopyFailed,
    PolicyViolation,
    LandingFull,
    AlreadyRunning,
)

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="The masking keys: which one is where, and changing over to another one.",
)


@app.command("status", epilog=STATUS_EPILOG)
def status_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON.")] = False,
) -> None:
    """Say which masking key landing, staging and gold have, and which keys may go.

    A key is known by its check value, which says nothing of the key itself.
    """
    places = key_places(Invocation.of(context).settings())
    if as_json:
        say_json(_status_as_json(places))
        return
    show_table(
        ("key", "from", "check value", "", "still in"),
        [
            (
                known.key_id,
                known.source,
                known.check or "-",
                "active" if known.active else "",
                ", ".join(known.needed_by)
                or ("nothing: it may be removed" if known.removable else "nothing yet"),
            )
            for known in places.keys
        ],
    )
    show_table(
        ("table", "landing", "staging"),
        [(str(t.table), t.landed or "-", t.staged or "-") for t in places.tables],
    )
    for edition, keys in places.editions.items():
        say(f"{edition}: {' or '.join(keys) or 'not known'}")
    for trouble in places.troubles:
        say(trouble, "yellow")
    if places.pending:
        say("Next: analytics-replica keys rotate, which changes over to the active key.", "yellow")


@app.command("rotate", epilog=ROTATE_EPILOG)
def rotate_command(
    context: typer.Context,
    wait_minutes: Annotated[
        int, typer.Option(min=0, help="How long to wait for a running capture to land the copy.")
    ] = int(PATIENCE.total_seconds() // 60),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Copy all tables with tokens again under the active masking key.

    From one physical copy, landed as one batch, while captures go on under the old key. The next
    `run` changes staging over in one transaction and builds gold with the new tokens; readers keep
    the old edition until then. Repeating it is harmless.
    """
    settings = Invocation.of(context).settings()
    with shown_progress(quiet=as_json) as progress:
        report = rotate(
            settings,
            SystemClock(),
            progress=progress,
            patience=timedelta(minutes=wait_minutes),
        )
    if as_json:
        say_json(_rotation_as_json(report))
        return
    if report.copied is None:
        say(f"All tables with tokens are under key {report.active} already; nothing was copied.")
        return
    rows = report.copied.rows
    say(
        f"{sum(rows.values()):,} rows of {len(rows)} tables, as they were at "
        f"{report.copied.position}, are landed under key {report.active} as batch "
        f"{report.copied.sequence}, in {report.copied.seconds:.1f} s."
    )
    say("Next: analytics-replica run, which takes them over into staging and builds gold anew.")


def _status_as_json(places: KeyPlaces) -> dict[str, Any]:
    return {
        "keys": [
            {
                "key": known.key_id,
                "source": known.source,
                "check": known.check,
                "active": known.active,
                "needed_by": list(known.needed_by),
                "removable": known.removable,
            }
            for known in places.keys
        ],
        "tables": {
            str(table.table): {"landing": table.landed, "staging": table.staged}
            for table in places.tables
        },
        "editions": {edition: list(keys) for edition, keys in places.editions.items()},
        "rotation_pending": places.pending,
        "troubles": list(places.troubles),
    }


def _rotation_as_json(report: RotationReport) -> dict[str, Any]:
    copied = report.copied
    return {
        "active": report.active,
        "position": None if copied is None else str(copied.position),
        "batch": None if copied is None else copied.sequence,
        "rows": {} if copied is None else {str(t): n for t, n in sorted(copied.rows.items())},
        "landed_by_other": copied is not None and copied.by_other,
        "seconds": 0.0 if copied is None else round(copied.seconds, 3),
    }
