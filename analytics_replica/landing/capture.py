"""Capture: from production's log to landed batches, nothing lost, nothing unmasked.

Here: one whole capture ("everything committed before now, then stop"), in the order of its
guards, first copy, stream. Not here: reading the stream (stream.py), one batch's files (batch.py),
the first copy (first_copy.py), copies of some tables (recopy.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from analytics_replica.domain.batches import Manifest, SlotState
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.batch import Origin
from analytics_replica.landing.copy_area import sweep_copies
from analytics_replica.landing.first_copy import sweep_base_backup, take_first_copy
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.recopy import adopt_copies
from analytics_replica.landing.stream import CaptureWork, Target, drain
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.source.replication import SourceConnection
from analytics_replica.source.slot import (
    guard_resume,
    require_policy_published,
    require_prepared,
)


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
    sweep_base_backup(settings)  # raw data go first, also if production does not answer
    with store.one_writer(), SourceConnection(dsn) as source:
        store.sweep()
        sweep_copies(store)
        work, target = _prepared(settings, clock, progress, store, source, reached)
        copied = work.last is None or first_copy
        if copied:
            take_first_copy(work)
            target = replace(target, flushed=source.identify().flushed)
        elif work.last is not None:
            guard_resume(work.last[0], work.origin.source, work.origin.slot)
        drain(work, source, target)
        adopt_copies(work)
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
) -> tuple[CaptureWork, Target]:
    """The work to do and how far the present reaches; errors if production is not ready."""
    names = settings.replica.source
    policy = Policy.from_settings(settings)
    system = source.identify()
    state = source.read_state(names.slot, names.publication)
    require_prepared(state, names.slot, names.publication)
    require_policy_published(state, {table: policy.published(table) for table in policy.tables})
    identity = state.identity(
        system.system_identifier, system.timeline, names.slot, names.publication
    )
    origin = Origin(identity, state.slot_state(system.flushed), policy.fingerprint)
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
        last=last_manifest(store),
    )
    written = max(system.flushed, state.present)
    return work, Target(system.flushed, written, state.flushed_within)
