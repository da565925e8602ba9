"""The resume guard: whether capture may go on after what is landed.

Here: comparing production, slot and publication with the newest batch, and the words for each way
in which they can disagree. Not here: whether production is prepared at all (slot.py), the proof of
silence (raw_log.py).

Every disagreement stops capture before anything is read, but one: a slot that stands ahead of
landing over nothing but silence. That needs a proof; a position alone proves nothing, for a slot
that was dropped and made again also stands ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from analytics_replica.domain.batches import Manifest, SlotState, SourceIdentity
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import PositionMismatch
from analytics_replica.source.replication import SystemIdentity
from analytics_replica.source.silence import Proof
from analytics_replica.source.slot import SourceState

RECOVER: Final = (
    "Run `analytics-replica recover`: it takes a new copy; staging stays readable meanwhile."
)
_READ_NOTHING: Final = "Changes in between may be missing, so capture stopped before reading."

Fork = Callable[[int, int], Lsn | None]
"""Asks where the second timeline left the first."""

Silence = Callable[[Lsn, Lsn], Proof]
"""Asks for the proof that nothing was committed between two positions."""


def guard_source(
    last: Manifest, system: SystemIdentity, state: SourceState, slot: str, fork: Fork
) -> None:
    """PositionMismatch unless this is the production that landing came from, with the slot alive.

    Asked first, for a wrong server or a lost slot explains whatever else is found.
    """
    _same_production(last, system, fork)
    if state.slot is None:
        raise _slot_gone(f"Slot {slot} does not exist any more", last, system.flushed)
    if state.slot["wal_status"] == "lost" or state.slot["restart_lsn"] is None:
        lost = f"Slot {slot} is lost ({reason_of(state)})"
        raise _slot_gone(lost, last, system.flushed)


def guard_resume(
    last: Manifest, identity: SourceIdentity, slot: SlotState, silence: Silence
) -> None:
    """PositionMismatch if going on after `last` could skip or mix changes.

    Slot, database and publication must be the same, and what lies between landing's end and the
    slot, if it is ahead, must be proven silent.
    """
    before = last.source
    for what, then, now in (
        ("system identifier", before.system_identifier, identity.system_identifier),
        ("timeline", str(before.timeline), str(identity.timeline)),
        ("database", before.database, identity.database),
        ("slot", before.slot, identity.slot),
        ("publication", before.publication, identity.publication),
        (
            "publication's identity (it was made anew)",
            before.publication_fingerprint,
            identity.publication_fingerprint,
        ),
    ):
        if then != now:
            raise PositionMismatch(
                what=f"Production's {what} is {now}; landing was filled with {then}.",
                why=_READ_NOTHING,
                next=f"If replica.yaml names the wrong one, correct it. Otherwise: {RECOVER}",
            )
    if slot.confirmed_lsn > last.position:
        proof = silence(last.position, slot.confirmed_lsn)
        if not proof.silent:
            raise _ahead(identity.slot, last.position, slot.confirmed_lsn, proof)


def reason_of(state: SourceState) -> str:
    """Why the server gave the slot up, in its own word (PostgreSQL 17), else wal_status."""
    slot = state.slot or {}
    return str(slot.get("invalidation_reason") or f"wal_status {slot.get('wal_status')}")


def _same_production(last: Manifest, system: SystemIdentity, fork: Fork) -> None:
    known = last.source
    if known.system_identifier != system.system_identifier:
        raise PositionMismatch(
            what=f"Production's system identifier is {system.system_identifier}; landing was "
            f"filled with {known.system_identifier}: this is another server.",
            why="Positions of two servers cannot be compared; capture stopped before reading.",
            next="Correct the source DSN and run `analytics-replica doctor`. If production was "
            "really moved (pg_upgrade, dump and restore), give it a landing.url and a warehouse of "
            "its own in replica.yaml, then run `analytics-replica capture`.",
        )
    if known.timeline != system.timeline:
        raise PositionMismatch(
            what=f"Production's timeline is {system.timeline}; landing was filled from timeline "
            f"{known.timeline}. {_forked(last.position, fork(known.timeline, system.timeline))}",
            why="A standby was promoted or a backup restored: what was committed just before may "
            "be in landing and not in production, or the other way round. Nothing was read.",
            next=RECOVER,
        )
    if system.flushed < last.position:
        raise PositionMismatch(
            what=f"Production's log ends at {system.flushed}, {last.position - system.flushed:,} "
            f"bytes before landing's {last.position}.",
            why="Production was put back to an earlier state; landing holds changes that it does "
            "not have any more. Nothing was read.",
            next=RECOVER,
        )


def _forked(landed: Lsn, fork: Lsn | None) -> str:
    if fork is None:
        return f"Landing ends at {landed}; where the timelines part is not known."
    if landed > fork:
        return (
            f"They part at {fork}, but landing ends at {landed}: {landed - fork:,} bytes of log "
            "are landed that production does not have any more."
        )
    return f"They part at {fork}, {fork - landed:,} bytes after landing's end at {landed}."


def _slot_gone(what: str, last: Manifest, present: Lsn) -> PositionMismatch:
    gap = present - last.position
    return PositionMismatch(
        what=f"{what}. Landing ends at {last.position}, production's log at {present}: {gap:,} "
        "bytes of log lie between and cannot be read any more.",
        why="The changes in them can only come back with a new copy; nothing was read.",
        next=RECOVER,
    )


def _ahead(slot: str, landed: Lsn, confirmed: Lsn, proof: Proof) -> PositionMismatch:
    return PositionMismatch(
        what=f"Slot {slot} stands at {confirmed}, but landing ends at {landed}: "
        f"{confirmed - landed:,} bytes of log were released without being landed, and that they "
        f"are silent is not proven: {proof.says}.",
        why="Somebody advanced or recreated the slot, or landing was restored from an older "
        "backup. Going on would silently lose what lies between.",
        next=f"Restore landing's newer manifests if there are any. Otherwise: {RECOVER}",
    )
