"""Resync: some tables again from a new copy, while everything else goes on.

Here: making the copy beside the captures, and seeing to it that one of them lands it. Not here:
landing it (recopy.py), the first copy of all tables (first_copy.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import AlreadyRunning, CopyFailed, PolicyViolation, SlotBusy
from analytics_replica.landing.batch import Origin
from analytics_replica.landing.capture import capture
from analytics_replica.landing.copy_area import ReadyCopy, copy_area
from analytics_replica.landing.first_copy import described, physical_copy, sweep_base_backup
from analytics_replica.landing.initial_copy import CopyWork, copy_tables
from analytics_replica.landing.landed_keys import as_landed
from analytics_replica.landing.layout import Store
from analytics_replica.landing.recopy import already_landed, policy_of, stream_begins
from analytics_replica.masking.key_versions import checks_of
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.source.physical_copy import prove
from analytics_replica.source.publications import RUN_SCRIPT, Wanted, not_prepared
from analytics_replica.source.replication import SourceConnection
from analytics_replica.source.slot import require_prepared

LOOK_EVERY_S: Final = 0.5
"""How often is looked whether another capture has landed the copy."""

PATIENCE: Final = timedelta(hours=1)


@dataclass(frozen=True)
class ResyncReport:
    """What one resync did: the tables as they were at `position` are batch `sequence`.

    `by_other` says that another capture landed them.
    """

    position: Lsn
    sequence: int
    rows: Mapping[TableName, int]
    seconds: float
    by_other: bool


def resync(
    settings: Settings,
    clock: Clock,
    tables: Collection[TableName],
    *,
    progress: Progress = SILENT,
    patience: timedelta = PATIENCE,
    reached: Callable[[str], None] = lambda _: None,
) -> ResyncReport:
    """Copies these tables again (or for the first time) and lands them as one batch.

    Captures and applies go on meanwhile; the next apply brings the tables in, whole, in its one
    transaction. A crash leaves what was there before. AlreadyRunning if no capture landed the copy
    within `patience`; it still waits then for the next one. CopyFailed if it was refused.
    """
    policy = as_landed(Store.of(settings), Policy.from_settings(settings), masking_keys(settings))
    _require_listed(policy, tables)
    return copied_again(
        settings,
        clock,
        policy_of(policy, set(tables)),
        policy,
        progress=progress,
        patience=patience,
        reached=reached,
    )


def copied_again(
    settings: Settings,
    clock: Clock,
    policy: Policy,
    together: Policy,
    *,
    progress: Progress,
    patience: timedelta,
    reached: Callable[[str], None],
) -> ResyncReport:
    """The same for the tables of this policy, sealed with the keys that it names.

    `together` is the policy of all tables, which it must go with.
    """
    began = clock.now()
    store = Store.of(settings)
    begins = stream_begins(store)
    if begins is None:
        raise CopyFailed(
            what="There is nothing yet that a table could be copied into: landing is empty.",
            why="The first capture copies all tables.",
            next="Run `analytics-replica capture`.",
        )
    ready = _whole_copy(settings, clock, policy, together, begins, progress, reached)
    reached("proposed")
    landed, by_other = _landed(settings, clock, store, ready, progress, patience)
    rows: Counter[TableName] = Counter()
    for file in landed.files:
        rows[file.table] += file.rows
    seconds = (clock.now() - began).total_seconds()
    return ResyncReport(landed.to_lsn, landed.sequence, rows, seconds, by_other)


def _whole_copy(
    settings: Settings,
    clock: Clock,
    policy: Policy,
    together: Policy,
    begins: Lsn,
    progress: Progress,
    reached: Callable[[str], None],
) -> ReadyCopy:
    """The tables as they are at one position, complete and masked, waiting for a capture."""
    source, keys = settings.replica.source, masking_keys(settings)
    sweep_base_backup(settings)
    origin, major = _origin(settings, policy)
    origin = replace(origin, keys=checks_of(policy, keys))
    copying = CopyWork(
        policy,
        together,
        keys,
        source.publication,
        source.copy_workers,
        progress,
        reached,
        again=True,
    )
    keeping = f"{source.slot[:57]}_copy"
    with physical_copy(settings, major, progress, keeping) as copy:
        prove(copy, origin.source, begins)
        store = Store.of(settings)
        about = described(store, origin, copy, policy, clock.now())
        with copy_area(store, _name(policy.tables), about, lasting=copy.lasting) as area:
            return area.propose(copy_tables(copy, area, copying))


def _origin(settings: Settings, policy: Policy) -> tuple[Origin, int]:
    names = settings.replica.source
    with SourceConnection(settings.secrets.get(names.dsn)) as source:
        system = source.identify()
        state = source.read_state(names.slot, names.publication)
    # A capture may read the slot meanwhile: that is what a resync is for.
    with contextlib.suppress(SlotBusy):
        require_prepared(state, names.slot, names.publication, standby=names.decode_from_standby)
    agreement = state.agreement(Wanted.of(settings))
    for table in sorted(policy.tables):
        if table in agreement.faults:
            raise not_prepared(f"{table} {agreement.faults[table]}", RUN_SCRIPT)
    identity = state.identity(
        system.system_identifier, system.timeline, names.slot, names.publication
    )
    origin = Origin(identity, state.slot_state(system.flushed), policy.fingerprint)
    return origin, state.server_version // 10_000


def _landed(
    settings: Settings,
    clock: Clock,
    store: Store,
    ready: ReadyCopy,
    progress: Progress,
    patience: timedelta,
) -> tuple[Manifest, bool]:
    """The batch that the copy became, and whether it was another capture that made it."""
    give_up_at = clock.now() + patience
    by_other = True
    while ready.waits:
        try:
            capture(settings, clock, progress=progress)
            by_other = ready.waits
        except (AlreadyRunning, SlotBusy) as busy:
            progress("waiting for the running capture to land the copy", 0, None)
            if clock.now() >= give_up_at:
                raise AlreadyRunning(
                    what="The capture that runs has not landed the copy yet.",
                    why="The copy is complete; the next batch boundary after "
                    f"{ready.proposal.to_lsn} lands it. The tables stay as they were until then.",
                    next="Let that capture go on (or restart it, if it is older than this "
                    "version), then look at `analytics-replica status`.",
                ) from busy
            time.sleep(LOOK_EVERY_S)
    landed = already_landed(store, ready.proposal)
    if landed is None:
        reason = ready.refusal or "a capture refused it and did not keep the reason"
        raise CopyFailed(
            what=f"The copy was made and then thrown away: {reason}.",
            why="Landing it would have mixed rows that do not belong together; the tables stay as "
            "they were.",
            next="Run the same command again.",
        )
    return landed, by_other


def _require_listed(policy: Policy, tables: Collection[TableName]) -> None:
    for table in sorted(set(tables) - set(policy.tables)):
        raise PolicyViolation(
            what=f"{table} is not in replica.yaml.",
            why="A table is copied only as replica.yaml says.",
            next="List it with its columns, have the DBA run what `analytics-replica source sql` "
            "prints, then run the same command again.",
        )


def _name(tables: Collection[TableName]) -> str:
    listed = "\0".join(str(table) for table in sorted(tables))
    return f"resync-{hashlib.sha256(listed.encode()).hexdigest()[:12]}"
