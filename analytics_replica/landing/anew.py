"""Landing begun anew: a first copy on top of whatever is there, also on what is broken.

Here: which batch a first copy continues, and setting broken manifests aside behind it. Not here:
the copy (initial_copy.py), judging the batches (contiguity.py).

A copy of all tables makes everything before it void, so nothing before it need be readable; only
its number must be new, for staging counts the batches that it contains.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.lsn import ZERO
from analytics_replica.errors import LandingError
from analytics_replica.landing.batch import Origin
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.layout import Store, disk_errors, manifest_path
from analytics_replica.landing.manifest import last_manifest, sequences

SET_ASIDE: Final = "set-aside"


def continued_by_copy(
    store: Store, origin: Origin, now: datetime, beyond: int = 0
) -> tuple[Manifest, str] | None:
    """The newest batch and its digest; if it cannot be read, one that has its number and no more.

    The number is at least `beyond`, for staging may contain batches that landing lost. None if
    nothing was ever landed.
    """
    try:
        found = last_manifest(store)
        newest = found[0].sequence if found is not None else 0
    except LandingError:
        found, newest = None, sequences(store)[-1]
    if newest < beyond or (found is None and newest > 0):
        stands_for = Manifest(
            sequence=max(newest, beyond),
            kind=BatchKind.STREAM,
            from_lsn=ZERO,
            to_lsn=ZERO,
            source=origin.source,
            slot=origin.slot,
            policy=origin.policy,
            files=(),
            transactions=0,
            last_commit_at=None,
            captured_at=now,
            previous="",
        )
        return stands_for, ""
    return found


def set_aside_if_broken(store: Store, copy: Manifest) -> int:
    """Moves the manifests before this copy of all tables away if they do not hold together.

    Returns how many. They are kept in `set-aside/` for a person to look at; their files stay.
    """
    before = [sequence for sequence in sequences(store) if sequence < copy.sequence]
    if not before or check_contiguity(store).passed:
        return 0
    with disk_errors("setting broken manifests aside"):
        for sequence in before:
            path = manifest_path(sequence)
            target = store.full(f"{SET_ASIDE}/{copy.sequence:010d}/{path}")
            store.filesystem.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            store.filesystem.mv(store.full(path), target)
    return len(before)
