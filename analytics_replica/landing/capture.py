"""Capture: from production's log to landed batches, nothing lost, nothing unmasked.

Here: one whole capture ("everything committed before now, then stop"), in the order of its
guards, first copy, stream. Not here: reading the stream (stream.py), one batch's files (batch.py),
the first copy's tables (initial_copy.py).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from analytics_replica.domain.batches import BatchKind, Manifest, SlotState
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import CopyFailed, DemoError, PositionMismatch
from analytics_replica.landing.batch import Origin
from analytics_replica.landing.initial_copy import copy_tables
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.stream import CaptureWork, Target, drain
from analytics_replica.masking.policy import Policy
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.source.replication import SourceConnection
from analytics_replica.source.slot import (
    guard_resume,
    require_policy_published,
    require_prepared,
)
from analytics_replica.source.snapshot import PhysicalCopy, base_backup, inspect


@dataclass(frozen=True)
class CaptureReport:
    """What one capture did. `rows` counts landed events per table, also those of a first copy."""

    manifests: tuple[Manifest, ...]
    position: Lsn
    rows: Mapping[TableName, int]
    slot: SlotState
    seconds: float
    first_copy: bool


def capture(
    settings: Settings,
    clock: Clock,
    *,
    progress: Progress = SILENT,
    first_copy: bool = False,
    reached: Callable[[str], None] = lambda _: None,
) -> CaptureReport:
    """Lands everything that production committed before now, then stops.

    Takes the first copy when landing is empty, or when `first_copy` asks for a new one. Ends with
    a batch up to the present even if production was silent: silence is recorded, not assumed.
    Repeating it is harmless; two at once are refused. After an error nothing is lost: what has no
    manifest is read again. `reached` hears the points between effects (crash tests).
    """
    began = clock.now()
    store = Store(settings.landing_url)
    source_settings = settings.replica.source
    dsn = settings.secrets.get(source_settings.dsn)
    with store.one_writer(), SourceConnection(dsn) as source:
        store.sweep()
        work, target = _prepared(
            settings, clock, progress, store, source, reached, first_copy=first_copy
        )
        copied = work.last is None or first_copy
        if copied:
            _first_copy(work, dsn)
            target = replace(target, flushed=source.identify().flushed)
        elif work.last is not None:
            guard_resume(work.last[0], work.origin.source, work.origin.slot)
        drain(work, source, target)
    rows: Counter[TableName] = Counter()
    for manifest in work.landed:
        for file in manifest.files:
            rows[file.table] += file.rows
    seconds = (clock.now() - began).total_seconds()
    landed = tuple(work.landed)
    return CaptureReport(landed, work.position, rows, work.origin.slot, seconds, copied)


def _prepared(
    settings: Settings,
    clock: Clock,
    progress: Progress,
    store: Store,
    source: SourceConnection,
    reached: Callable[[str], None],
    *,
    first_copy: bool,
) -> tuple[CaptureWork, Target]:
    """The work to do and how far the present reaches; errors if production is not ready."""
    names = settings.replica.source
    policy = Policy.from_settings(settings)
    system = source.identify()
    state = source.read_state(names.slot, names.publication)
    require_prepared(state, names.slot, names.publication)
    last = last_manifest(store)
    if last is None or first_copy:
        # Later a table that left the publication stops alone, in staging.
        wanted = {table: policy.published(table) for table in policy.tables}
        require_policy_published(state, wanted)
    identity = state.identity(
        system.system_identifier, system.timeline, names.slot, names.publication
    )
    health = state.slot_state(system.flushed)
    origin = Origin(identity, health, policy.fingerprint, state.catalog)
    work = CaptureWork(
        settings=settings,
        clock=clock,
        progress=progress,
        store=store,
        policy=policy,
        keys=masking_keys(settings),
        origin=origin,
        reached=reached,
        server_major=state.server_version // 10_000,
        last=last,
    )
    written = max(system.flushed, state.present)
    return work, Target(system.flushed, written, state.flushed_within)


def _first_copy(work: CaptureWork, dsn: str) -> None:
    identity, slot = work.origin.source, work.origin.slot
    work.progress("base backup", 0, None)
    with _physical_copy(work, dsn) as copy:
        if copy.system_identifier != identity.system_identifier:
            raise CopyFailed(
                what="The physical copy is not a copy of production (its system identifier "
                "differs).",
                why="Its rows and production's log do not belong together; nothing was landed.",
                next="Name a standby or backup of the server in the source DSN.",
            )
        if copy.position < slot.confirmed_lsn:
            raise PositionMismatch(
                what=f"The physical copy stands at {copy.position}, before the slot's "
                f"{slot.confirmed_lsn}.",
                why="Changes between the two would be in neither; nothing was landed.",
                next="Use a copy that was made after the slot.",
            )
        batch = work.new_batch()
        try:
            copy_tables(copy, batch, work.policy, work.keys, work.progress)
            work.has_landed(
                *batch.publish(
                    BatchKind.COPY,
                    copy.position,
                    copy.position,
                    transactions=0,
                    last_commit_at=None,
                    now=work.clock.now(),
                    reached=work.reached,
                )
            )
        finally:
            batch.discard()


@contextlib.contextmanager
def _physical_copy(work: CaptureWork, dsn: str) -> Iterator[PhysicalCopy]:
    settings, source = work.settings, work.settings.replica.source
    if source.physical_copy is not None:
        yield inspect(settings.secrets.get(source.physical_copy))
        return
    named = settings.path(source.postgres_bin) if source.postgres_bin else None
    try:
        binaries = binaries_of(work.server_major, named)
    except DemoError as cause:
        raise CopyFailed(what=cause.what, why=cause.why, next=cause.next) from None
    directory = settings.path(source.copy_directory)
    with base_backup(dsn, directory, binaries, source.copy_checkpoint) as copy:
        yield copy
