"""Whether the landed batches follow each other without a gap.

Here: the judgement over all manifests (sequence, digests, positions, files), and over two that
should follow each other. Not here: reading one manifest (manifest.py); whether slot and landing
agree (source.resume).
"""

from __future__ import annotations

from itertools import pairwise

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.errors import LandingBroken, LandingError
from analytics_replica.landing.layout import Store, data_pattern
from analytics_replica.landing.manifest import (
    digested,
    missing_batch,
    read_manifest,
    sequences,
    verify_file,
    was_folded,
)

ABOUT = "contiguity"

NEWEST = 200
"""How many of the newest manifests each capture reads: 0.1 s on a local disk (2026-11-21)."""


def check_contiguity(store: Store, *, files: bool = False) -> Verdict:
    """PASS if every batch follows the one before it; CANNOT_TELL if nothing was landed.

    Each manifest must name the digest of the one before and start where that one ended. With
    `files`, every file's bytes are compared with its manifest, too; and CANNOT_TELL if the last
    batch's files are there without a manifest: either its capture died, or the manifest was lost.
    """
    previous: tuple[Manifest, str] | None = None
    count = rows = 0
    try:
        for manifest, as_it_is in digested(store):
            if previous is not None:
                fault = fault_between(previous[0], previous[1], manifest)
                if fault is not None:
                    return Verdict.from_findings(ABOUT, [fault], batches=count)
            if files:
                _verify_files(store, manifest)
            previous = manifest, as_it_is
            count += 1
            rows += manifest.rows
    except LandingError as broken:
        return Verdict.from_findings(ABOUT, [Finding("landing", broken.what)], batches=count)
    if previous is None:
        return Verdict.cannot_tell(ABOUT, Finding("landing", "nothing was landed yet"))
    if files and (without := store.matching(data_pattern(previous[0].sequence + 1))):
        return Verdict.cannot_tell(ABOUT, _without_manifest(previous[0].sequence + 1, without))
    return Verdict.from_findings(
        ABOUT, [], batches=count, rows=rows, position=str(previous[0].position)
    )


def require_contiguity(store: Store, newest: int = NEWEST) -> None:
    """LandingBroken or ManifestUnreadable, naming the batch, if capture could not continue landing.

    No number may be missing between the first batch and the last, and of the newest ones each must
    name the one before as it is. Older ones were judged when they were new, and every night.
    """
    present = sequences(store)
    for before, after in pairwise(present):
        if after != before + 1 and not was_folded(store, before + 1):
            raise missing_batch(before + 1, after)
    previous: tuple[Manifest, str] | None = None
    for manifest, digest in digested(store, after=present[-1] - newest if present else 0):
        fault = fault_between(*previous, manifest) if previous is not None else None
        if fault is not None:
            raise LandingBroken(
                what=f"Landing is broken: {fault.subject} {fault.says}.",
                why="A manifest was changed, or landing was put together from two states; what "
                "follows cannot be trusted.",
                next="Restore the manifests from a backup of landing, or run "
                "`analytics-replica recover`, which takes a new copy.",
            )
        previous = manifest, digest


def fault_between(before: Manifest, before_digest: str, after: Manifest) -> Finding | None:
    """Why `after` is not the batch that follows `before`; None if it is."""
    where = f"batch {after.sequence}"
    if after.folded is not None and after.sequence != before.sequence + 1:
        return None  # what stood between was folded while we read
    if after.previous != before_digest:
        return Finding(where, f"does not name the manifest of batch {before.sequence} as it is")
    starts_anew = after.kind is BatchKind.COPY and after.from_lsn == after.to_lsn
    if not starts_anew and after.from_lsn != before.position:
        gap = after.from_lsn - before.position
        return Finding(
            where, f"starts at {after.from_lsn}, {gap:,} bytes off the end of the one before"
        )
    return None


def _verify_files(store: Store, manifest: Manifest) -> None:
    try:
        for file in (*manifest.files, *manifest.beside):
            verify_file(store, file)
    except LandingBroken:
        # A fold removes files after the manifests that named them; then the base is there.
        now = sequences(store)
        if manifest.sequence in now and read_manifest(store, manifest.sequence) == manifest:
            raise
        if manifest.sequence not in now and not was_folded(store, manifest.sequence):
            raise


def _without_manifest(sequence: int, files: list[str]) -> Finding:
    return Finding(
        f"batch {sequence}",
        f"{len(files)} of its files are there ({files[0]}), its manifest is not: its capture died, "
        "and the next one writes the batch again, or the manifest was lost",
    )
