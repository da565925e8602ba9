"""Recovery: capture goes on again after what it may not pass over, with one call.

Here: the order: what must be given up, the slot, a new first copy. Not here: making a slot
(source.recreate), the copy (capture.py), when staging takes it over (staging.apply).

Staging is not touched: readers keep what they have until the next apply takes the whole copy over
in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.errors import LandingError, PositionMismatch, SlotBusy
from analytics_replica.landing.capture import capture
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.report import CaptureReport
from analytics_replica.settings.load import Settings
from analytics_replica.source.publications import Wanted, require_published
from analytics_replica.source.recreate import Ask, GivenUp, create_slot, drop_slot, given_up
from analytics_replica.source.replication import SourceConnection


@dataclass(frozen=True)
class RecoveryReport:
    """What recovery did. `given_up` is None and `slot_made_at` too if the slot could stay."""

    given_up: GivenUp | None
    slot_made_at: Lsn | None
    captured: CaptureReport


def recover(
    settings: Settings,
    clock: Clock,
    *,
    replace_slot: bool = False,
    beyond: int = 0,
    agreed: Ask = lambda _: True,
    progress: Progress = SILENT,
) -> RecoveryReport:
    """Makes the slot again if it is gone or lost, takes a new first copy, and captures what is new.

    A slot that is fine stays, unless `replace_slot`, and then `agreed` is asked first. Only our
    own slot is ever dropped: this name, pgoutput, our database, nobody reading. `beyond` is the
    last batch that staging contains: the copy's number is greater, also if landing lost some.
    Repeating it after an error at any point is harmless. PositionMismatch if this is not the
    production that landing came from.
    """
    source = settings.replica.source
    dsn = settings.secrets.get(source.dsn)
    with Store.of(settings).one_writer():
        doomed, exists = _judged(settings, dsn)
        must_go = doomed is not None and (doomed.why is not None or replace_slot)
        if doomed is not None and must_go:
            if doomed.why is None and not agreed(doomed):
                raise _not_agreed(doomed)
            drop_slot(dsn, source.slot)
        made_at = None
        if must_go or not exists:
            made_at = create_slot(dsn, source.slot, failover=source.failover, progress=progress)
    captured = capture(settings, clock, progress=progress, first_copy=True, beyond=beyond)
    return RecoveryReport(doomed if must_go else None, made_at, captured)


def _judged(settings: Settings, dsn: str) -> tuple[GivenUp | None, bool]:
    """What dropping the slot would give up, and whether there is one; errors before any effect."""
    names = settings.replica.source
    with SourceConnection(dsn) as source:
        system = source.identify()
        state = source.read_state(names.slot, names.publication)
    _require_same_system(Store.of(settings), system.system_identifier)
    doomed = given_up(state, names.slot, names.publication, system.flushed)
    require_published(state.agreement(Wanted.of(settings)), every=True)
    return doomed, state.slot is not None


def _require_same_system(store: Store, system_identifier: str) -> None:
    try:
        last = last_manifest(store)
    except LandingError:
        return  # broken landing is one of the things that a new copy repairs
    if last is not None and last[0].source.system_identifier != system_identifier:
        raise PositionMismatch(
            what=f"Production's system identifier is {system_identifier}; landing was filled with "
            f"{last[0].source.system_identifier}: this is another server.",
            why="A copy of another production cannot continue this landing; nothing was changed.",
            next="Correct the source DSN, or give the new production a landing.url and a warehouse "
            "of its own in replica.yaml and run `analytics-replica capture`.",
        )


def _not_agreed(doomed: GivenUp) -> SlotBusy:
    return SlotBusy(
        what=f"Nothing was done: dropping {doomed} was not agreed to.",
        why="What a slot keeps is gone when it is dropped.",
        next="Without --replace-slot, `analytics-replica recover` keeps a slot that is fine.",
    )
