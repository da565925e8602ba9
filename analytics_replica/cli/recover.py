"""`recover`: go on again after the slot was lost or landing was damaged.

Here: the command, its question and what it prints. Not here: the recovery (landing.recovery).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import note, say, say_json
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.errors import (
    AlreadyRunning,
    CopyFailed,
    LandingFull,
    PolicyViolation,
    PositionMismatch,
    ReplicaError,
    SettingsInvalid,
    SlotBusy,
    SourceNotPrepared,
    SourceUnreachable,
)
from analytics_replica.landing.recovery import RecoveryReport, recover
from analytics_replica.postgres.connect import connection
from analytics_replica.settings.load import Settings
from analytics_replica.source.recreate import GivenUp
from analytics_replica.staging import ledger

EPILOG: Final = epilog(
    "analytics-replica recover",
    SettingsInvalid,
    SourceUnreachable,
    SourceNotPrepared,
    SlotBusy,
    PositionMismatch,
    CopyFailed,
    PolicyViolation,
    LandingFull,
    AlreadyRunning,
)


def recover_command(
    context: typer.Context,
    replace_slot: Annotated[
        bool,
        typer.Option("--replace-slot", help="Drop and make the slot again even if it is fine."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Give up what the dropped slot keeps without asking.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Make the slot again if it is gone or lost, and take a new first copy of all tables.

    Staging stays readable as it is; the next `run` takes the new copy over at once. A slot that is
    fine is kept. Repeating it is harmless.
    """
    settings = Invocation.of(context).settings()
    with shown_progress(quiet=as_json) as progress:
        report = recover(
            settings,
            SystemClock(),
            replace_slot=replace_slot,
            beyond=_applied(settings),
            agreed=lambda doomed: yes or _agreed(doomed),
            progress=progress,
        )
    if as_json:
        say_json(_as_json(report))
        return
    if report.given_up is not None:
        say(f"Dropped {report.given_up}.")
    if report.slot_made_at is not None:
        say(f"Made slot {settings.replica.source.slot} at {report.slot_made_at}.")
    say(
        f"Copied {sum(report.captured.rows.values()):,} rows and changes up to "
        f"{report.captured.position}, in {report.captured.seconds:.1f} s."
    )
    say("Next: analytics-replica run, which takes the copy over into staging.")


def _applied(settings: Settings) -> int:
    """The last batch in staging; 0 if the warehouse does not answer: landing's own numbers count.

    A landing that lost batches which staging has is then refused by the next apply, loudly.
    """
    try:
        dsn = settings.secrets.get(settings.replica.warehouse.dsn)
        with connection(dsn, application="analytics-replica recover") as opened:
            return ledger.last_batch(opened)
    except ReplicaError as cause:
        note(f"{cause.what} The new copy counts on from landing's own batches.", "yellow")
        return 0


def _agreed(doomed: GivenUp) -> bool:
    return typer.confirm(f"This gives up {doomed}. Go on?", err=True)


def _as_json(report: RecoveryReport) -> dict[str, Any]:
    made = report.slot_made_at
    return {
        "given_up": None if report.given_up is None else str(report.given_up),
        "slot_made_at": None if made is None else str(made),
        "position": str(report.captured.position),
        "batches": len(report.captured.manifests),
        "seconds": round(report.captured.seconds, 3),
    }
