"""Whether what landing holds follows what staging contains.

Here: the refusals of a landing that lost batches, was restored, or is of another production. Not
here: which files a table needs of it (windows.py), the chain of all manifests (landing.contiguity).
"""

from __future__ import annotations

from collections.abc import Sequence

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.verdicts import Finding
from analytics_replica.errors import LandingBroken
from analytics_replica.landing.layout import Store, manifest_path
from analytics_replica.landing.manifest import read_manifest, sequences
from analytics_replica.staging.ledger import Ledger


def begins_anew(batch: Manifest) -> bool:
    """A copy of all tables: whatever was applied or landed before it is void."""
    return batch.kind is BatchKind.COPY and batch.from_lsn == batch.to_lsn


def require_same_batches(store: Store, ledger: Ledger, fresh: Sequence[Manifest]) -> None:
    """The batch that staging ends with must be landing's batch of this number.

    A landing that was restored from an older state counts on from there: a number that staging
    has applied would come a second time with other changes, and be passed over.
    """
    if ledger.last_batch == 0 or any(map(begins_anew, fresh)):
        return
    present = sequences(store)
    if present and present[-1] < ledger.last_batch:
        found = f"ends with batch {present[-1]}"
    elif (
        ledger.last_batch in present
        and read_manifest(store, ledger.last_batch).position > ledger.position
    ):
        found = f"has another batch {ledger.last_batch}"
    else:
        return
    raise LandingBroken(
        what=f"Staging contains batch {ledger.last_batch} up to {ledger.position}, but landing "
        f"{found}.",
        why="Landing was restored from an older state; going on would pass over changes.",
        next="Restore landing's newer manifests, or run `analytics-replica recover`, which takes a "
        "new copy.",
    )


def require_sequel(first: Manifest, ledger: Ledger) -> None:
    """LandingBroken unless this is the next batch that staging needs, or a new beginning."""
    expected = ledger.last_batch + 1
    begins = begins_anew(first) or (ledger.last_batch == 0 and first.kind is BatchKind.COPY)
    if first.sequence != expected and not begins:
        raise LandingBroken(
            what=f"Staging needs batch {expected} next, but landing goes on with {first.sequence}.",
            why="Applying the later ones would lose the changes in between.",
            next="Restore the missing manifests from a backup of landing, or copy the tables again "
            "with `analytics-replica capture --first-copy`.",
        )


def require_one_production(batches: Sequence[Manifest], ledger: Ledger) -> None:
    """LandingBroken if these batches and staging are not all of one production."""
    known = {m.source.system_identifier for m in batches}
    if ledger.system_identifier is not None:
        known.add(ledger.system_identifier)
    if len(known) > 1:
        raise LandingBroken(
            what="Landing holds batches of another production than staging "
            f"(system identifiers {', '.join(sorted(known))}).",
            why="Positions of two servers cannot be compared; rows of both would be mixed.",
            next="Give the new production a landing and a warehouse of its own, or rebuild staging "
            "from a landing that holds only its batches.",
        )


def require_sound(fault: Finding | None) -> None:
    """LandingBroken if two manifests do not follow each other, for this reason."""
    if fault is not None:
        raise LandingBroken(
            what=f"Landing is not whole: {fault}.",
            why="Applying what follows could lose changes, so nothing was applied.",
            next="Restore the manifests from a backup of landing, or copy the tables again with "
            "`analytics-replica capture --first-copy`.",
        )


def require_not_behind(store: Store, chain: Sequence[Manifest], ledger: Ledger) -> None:
    """LandingBroken if landing ends before the batch that staging contains."""
    newest = chain[-1].sequence if chain else 0
    if newest < ledger.last_batch and not store.exists(manifest_path(ledger.last_batch)):
        raise LandingBroken(
            what=f"Landing ends earlier, but staging already contains batch {ledger.last_batch}.",
            why="Manifests were lost, or landing was restored from an older backup; new batches "
            "would take the numbers of those that are gone and never be applied.",
            next="Restore the newer manifests, or give landing and staging a new beginning: "
            "an empty landing and warehouse, then `analytics-replica capture`.",
        )
