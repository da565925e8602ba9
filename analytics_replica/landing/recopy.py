"""Copies of some tables: how a whole copy that waits becomes a batch among the others.

Here: what a capture does with the copies that wait for it, and why it refuses one. Not here:
making them (resync.py), where they wait (copy_area.py).

A copy is made beside the captures, to a position S. It is landed at the end of a batch, as soon as
the stream is landed up to S: then every change from S on is landed, or will be.
"""

from __future__ import annotations

from dataclasses import replace

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.beside import sealed_otherwise
from analytics_replica.landing.copy_area import ReadyCopy, ready_copies
from analytics_replica.landing.first_copy import publish_copy
from analytics_replica.landing.folding import not_folded
from analytics_replica.landing.landed_keys import policy_then
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.landing.stream import CaptureWork
from analytics_replica.masking.key_versions import checks_of, keyed_tables
from analytics_replica.masking.policy import Policy


def adopt_copies(work: CaptureWork) -> int:
    """Lands the copies that wait and whose position the stream has reached; how many.

    To be called at a batch boundary by the one writer. Landing a copy leaves the stream where it
    is and confirms nothing. A copy that does not fit any more is thrown away; whoever made it is
    told why.
    """
    waiting = ready_copies(work.store)
    if not waiting:
        return 0
    with not_folded(work.store, wait=False) as alone:
        # While older batches are folded a copy waits for the next boundary.
        return _adopt(work, waiting) if alone else 0


def _adopt(work: CaptureWork, waiting: list[ReadyCopy]) -> int:
    landed = 0
    for ready in waiting:
        if already_landed(work.store, ready.proposal) is not None:
            ready.forget()  # a crash came between the manifest and this line
        elif (reason := _unfit(ready.proposal, work)) is not None:
            ready.refuse(reason)
        elif work.position >= ready.proposal.to_lsn:
            _go_on_under_its_keys(work, ready.proposal)
            publish_copy(work, ready.files, work.position, ready.proposal)
            ready.forget()
            landed += 1
    return landed


def already_landed(store: Store, proposal: Manifest) -> Manifest | None:
    """The batch that this copy became; None if it did not."""
    sums = [file.sha256 for file in proposal.files]
    for manifest in manifests(store):
        same = manifest.kind is BatchKind.COPY and manifest.to_lsn == proposal.to_lsn
        if same and [file.sha256 for file in manifest.files] == sums:
            return manifest
    return None


def policy_of(policy: Policy, tables: set[TableName]) -> Policy:
    """The policy for these tables alone."""
    kept = {table: rules for table, rules in policy.tables.items() if table in tables}
    return replace(policy, tables=kept, append_only=policy.append_only & tables)


def stream_begins(store: Store) -> Lsn | None:
    """From where on landing holds every change without a gap; None if nothing was landed.

    Only a copy from after it can be completed by what is landed.
    """
    begins = position = None
    for manifest in manifests(store):
        if position is None or manifest.from_lsn != position:
            begins = manifest.from_lsn
        position = manifest.position
    return begins


def _unfit(proposal: Manifest, work: CaptureWork) -> str | None:
    tables = {file.table for file in proposal.files}
    if (now := work.origin.source) != proposal.source:
        return (
            f"it was made for system {proposal.source.system_identifier}, timeline "
            f"{proposal.source.timeline}, slot {proposal.source.slot}; the capture reads "
            f"{now.system_identifier}, timeline {now.timeline}, slot {now.slot}, or its "
            "publication was made anew"
        )
    then = policy_then(work.policy, proposal)
    if policy_of(then, tables).fingerprint != proposal.policy:
        return (
            "replica.yaml says something else of its tables than when it was made (a capture that "
            "runs as a service reads replica.yaml when it starts)"
        )
    if (begins := stream_begins(work.store)) is None or proposal.to_lsn < begins:
        return f"it is from {proposal.to_lsn}, before the landed stream begins ({begins})"
    for manifest in manifests(work.store):
        newer = manifest.kind is BatchKind.COPY and manifest.to_lsn >= proposal.to_lsn
        for file in manifest.files if newer else ():
            if file.table in tables:
                return (
                    f"it is from {proposal.to_lsn}, and {file.table} was copied again at "
                    f"{manifest.to_lsn} meanwhile"
                )
    return _unfit_key(proposal, then, work)


def _unfit_key(proposal: Manifest, then: Policy, work: CaptureWork) -> str | None:
    """Why a copy that would change the masking key may not; None if it may, or changes none."""
    if then == work.policy:
        return None
    whole = keyed_tables(work.policy) <= {file.table for file in proposal.files}
    if then != work.next_policy or not whole:
        return (
            f"it was made with masking key {proposal.keys[0][0]}, and the capture works with "
            f"{work.keys.active} as the active key, or a table with tokens is not in it (a "
            "capture that runs as a service reads replica.yaml when it starts)"
        )
    table = sealed_otherwise(proposal, tuple(manifests(work.store)))
    if table is not None:
        return (
            f"changes of {table} since {proposal.to_lsn} are landed under the old masking key "
            "alone: by a capture that read an older replica.yaml, or in a transaction that was "
            "open already then"
        )
    return None


def _go_on_under_its_keys(work: CaptureWork, proposal: Manifest) -> None:
    """From this copy on its tables are sealed with the keys that it was sealed with."""
    then = policy_then(work.policy, proposal)
    if then == work.policy:
        return
    work.policy, work.next_policy = then, None
    checks = checks_of(then, work.keys)
    work.origin = replace(work.origin, policy=then.fingerprint, keys=checks)
