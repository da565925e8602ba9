"""Landing begun anew: a first copy on top of whatever is there, also on what is broken.

Here: which batch a first copy continues, and setting aside what may not stand before it. Not here:
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
from analytics_replica.landing.layout import Store, manifest_path
from analytics_replica.landing.manifest import last_manifest, manifests, sequences

SET_ASIDE: Final = "set-aside"


def continued_by_copy(
    store: Store, origin: Origin, now: datetime, beyond: int = 0
) -> tuple[Manifest, str] | None:
    """The newest batch and its digest; if it cannot be read, one that has its number and no more.

    The number is at least `beyond`, for staging may contain batches that landing lost. None if
    nothing was ever landed or set aside.
    """
    try:
        found = last_manifest(store)
        newest = found[0].sequence if found is not None else 0
    except LandingError:
        found, newest = None, sequences(store)[-1]
    beyond = max(beyond, _set_aside_before(store))
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


def set_aside_unfit(store: Store, copy: Origin, sequence: int) -> int:
    """Moves the manifests before this copy of all tables away if they may not stand before it.

    That is so if they do not hold together or do not end right before it, come from another
    timeline, or go further than production's log does: staging would take changes from them that
    production does not have any more. Returns how many. They are kept in `set-aside/` for a person
    to look at; their files stay.
    Call it right before the copy's own manifest is published.
    """
    before = [number for number in sequences(store) if number < sequence]
    if not before or (before[-1] == sequence - 1 and _fit(store, copy)):
        return 0
    with store.errors("setting manifests aside"):
        for number in before:
            path = manifest_path(number)
            target = store.full(f"{SET_ASIDE}/{sequence:010d}/{path}")
            store.filesystem.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            store.filesystem.mv(store.full(path), target)
    return len(before)


def _fit(store: Store, copy: Origin) -> bool:
    if not check_contiguity(store).passed:
        return False
    present = copy.slot.restart_lsn.value + copy.slot.retained_bytes
    return all(
        manifest.source.timeline == copy.source.timeline and manifest.to_lsn.value <= present
        for manifest in manifests(store)
    )


def _set_aside_before(store: Store) -> int:
    """The greatest number that was ever set aside: it must not come again."""
    return max((int(name) - 1 for name in store.names(SET_ASIDE) if name.isdecimal()), default=0)
