"""Capture: from production's log to landed batches, nothing lost, nothing unmasked.

Here: one whole capture ("everything committed before now, then stop"), and a follower that does
not stop, in the order of guards, first copy, stream. Not here: reading the stream (stream.py), one
batch's files (batch.py), the first copy (first_copy.py), copies of some tables (recopy.py).
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from analytics_replica.domain.batches import Manifest, SlotState
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import AlreadyRunning
from analytics_replica.landing.batch import Origin
from analytics_replica.landing.copy_area import sweep_copies
from analytics_replica.landing.courses import Following, ToThePresent
from analytics_replica.landing.first_copy import sweep_base_backup, take_first_copy
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest, manifests
from analytics_replica.landing.points import Reached, unheard
from analytics_replica.landing.recopy import adopt_copies
from analytics_replica.landing.stream import CaptureWork, stream
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.source.replication import SourceConnection
from analytics_replica.source.slot import (
    guard_resume,
    require_policy_published,
    require_prepared,
)

FOLLOWER_PATIENCE: Final = timedelta(minutes=10)
"""How long a capture waits for the follower to land the present before it says that it did not."""

_LOOK_S: Final = 0.2


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
    reached: Reached = unheard,
) -> CaptureReport:
    """Lands everything that production committed before now, then stops.

    Takes the first copy when landing is empty, or when `first_copy` asks for a new one. Ends with
    a batch up to the present even if production was silent: silence is recorded, not assumed.
    Repeating it is harmless; two at once are refused, but where a follower runs it is asked to
    land the present. After an error nothing is lost: what has no manifest is read again. `reached`
    hears the points between effects (crash tests).
    """
    began = clock.now()
    store = Store(settings.landing_url)
    if not first_copy and store.is_followed():
        return await_follower(settings, clock, store)
    with _ready(settings, clock, progress, reached) as (work, source, course):
        copied = work.last is None or first_copy
        stream(work, source, _begun(work, source, course, first_copy=first_copy))
        adopt_copies(work)  # what waited for just this position, if silence made no batch
    return _report(work, clock.now() - began, first_copy=copied)


def follow(
    settings: Settings,
    clock: Clock,
    *,
    every: timedelta,
    stopped: Callable[[], bool],
    heard: Callable[[Manifest], None],
    progress: Progress = SILENT,
) -> CaptureReport:
    """Lands what commits `every` so often, until `stopped` says so; then lands the rest.

    Begins like `capture`: first copy if landing is empty, the same guards. `heard` is told of each
    batch. Errors end it as they end a capture, with nothing lost.
    """
    began = clock.now()
    silence = timedelta(minutes=settings.replica.deadlines.capture_every_minutes)
    with (
        _ready(settings, clock, progress, unheard) as (work, source, course),
        work.store.followed(),
    ):
        work.heard = heard
        copied = work.last is None
        _begun(work, source, course, first_copy=False)
        stream(work, source, Following(work.store, every, silence, stopped))
    return _report(work, clock.now() - began, first_copy=copied)


def await_follower(settings: Settings, clock: Clock, store: Store) -> CaptureReport:
    """Asks the follower to land the present and waits until it did.

    AlreadyRunning if it did not within `FOLLOWER_PATIENCE`; SourceUnreachable if production cannot
    be asked where the present is.
    """
    began = clock.now()
    before = last_manifest(store)
    source_settings = settings.replica.source
    with SourceConnection(settings.secrets.get(source_settings.dsn)) as source:
        flushed = source.identify().flushed
    store.ask_to_land()
    while clock.now() - began < FOLLOWER_PATIENCE:
        last = last_manifest(store)
        if last is not None and last[0].position >= flushed:
            since = before[0].sequence if before else 0
            landed = tuple(manifests(store, after=since))
            seconds = (clock.now() - began).total_seconds()
            return _reported(landed, last[0], seconds, first_copy=before is None)
        if not store.is_followed():
            return capture(settings, clock)
        time.sleep(_LOOK_S)
    raise AlreadyRunning(
        what=f"A follower holds landing, and did not come to {flushed} within "
        f"{FOLLOWER_PATIENCE.total_seconds():.0f} s.",
        why="What it landed is complete; the present is not in it yet.",
        next="Look at the follower's output; docs/runbooks/capture-behind.md goes on from there.",
    )


@contextlib.contextmanager
def _ready(
    settings: Settings, clock: Clock, progress: Progress, reached: Reached
) -> Iterator[tuple[CaptureWork, SourceConnection, ToThePresent]]:
    store = Store(settings.landing_url)
    dsn = settings.secrets.get(settings.replica.source.dsn)
    sweep_base_backup(settings)  # raw data go first, also if production does not answer
    with store.one_writer(), SourceConnection(dsn) as source:
        store.sweep()
        sweep_copies(store)
        yield _prepared(settings, clock, progress, store, source, reached)


def _begun(
    work: CaptureWork, source: SourceConnection, course: ToThePresent, *, first_copy: bool
) -> ToThePresent:
    """Takes the first copy if it is due, or makes sure that going on loses nothing."""
    if work.last is None or first_copy:
        take_first_copy(work)
        return replace(course, flushed=source.identify().flushed)
    guard_resume(work.last[0], work.origin.source, work.origin.slot)
    return course


def _report(work: CaptureWork, took: timedelta, *, first_copy: bool) -> CaptureReport:
    last = work.last
    if last is None:
        raise ValueError("a capture ends with a batch")
    return _reported(tuple(work.landed), last[0], took.total_seconds(), first_copy=first_copy)


def _reported(
    landed: tuple[Manifest, ...], last: Manifest, seconds: float, *, first_copy: bool
) -> CaptureReport:
    rows: Counter[TableName] = Counter()
    for manifest in landed:
        for file in manifest.files:
            rows[file.table] += file.rows
    return CaptureReport(landed, last.position, rows, last.slot, seconds, first_copy)


def _prepared(
    settings: Settings,
    clock: Clock,
    progress: Progress,
    store: Store,
    source: SourceConnection,
    reached: Reached,
) -> tuple[CaptureWork, SourceConnection, ToThePresent]:
    """The work to do, and how far the present reaches; errors if production is not ready."""
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
        at_boundary=adopt_copies,
        server_version=state.server_version,
        last=last_manifest(store),
    )
    written = max(system.flushed, state.present)
    give_up_at = clock.now() + state.flushed_within
    return work, source, ToThePresent(system.flushed, written, give_up_at)
