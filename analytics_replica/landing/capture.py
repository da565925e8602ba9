"""Capture: from production's log to landed batches, nothing lost, nothing unmasked.

Here: one whole capture ("everything committed before now, then stop"), and a follower that does
not stop, in the order of guards, first copy, stream. Not here: reading the stream (stream.py), one
batch's files (batch.py), the first copy (first_copy.py), copies of some tables (recopy.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.landing.batch import Origin
from analytics_replica.landing.contiguity import require_contiguity
from analytics_replica.landing.copy_area import sweep_copies
from analytics_replica.landing.courses import Following, ToThePresent
from analytics_replica.landing.definitions import leaving, record, recorded
from analytics_replica.landing.first_copy import sweep_base_backup, take_first_copy
from analytics_replica.landing.holes import STILL, Holes
from analytics_replica.landing.landed_keys import as_active, as_landed, next_policy
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.points import Reached, unheard
from analytics_replica.landing.recopy import adopt_copies
from analytics_replica.landing.report import CaptureReport, await_follower, report_of
from analytics_replica.landing.silence import silent_upto
from analytics_replica.landing.stream import CaptureWork, stream
from analytics_replica.masking.key_versions import checks_of
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.settings.schema import Source
from analytics_replica.source.publications import Wanted
from analytics_replica.source.raw_log import fork_of, silence_of
from analytics_replica.source.replication import SourceConnection, SystemIdentity
from analytics_replica.source.resume import guard_resume, guard_source
from analytics_replica.source.slot import SourceState, require_prepared


def capture(
    settings: Settings,
    clock: Clock,
    *,
    progress: Progress = SILENT,
    first_copy: bool = False,
    beyond: int = 0,
    reached: Reached = unheard,
) -> CaptureReport:
    """Lands everything that production committed before now, then stops.

    Takes the first copy when landing is empty, or when `first_copy` asks for a new one. Ends with
    a batch up to the present even if production was silent: silence is recorded, not assumed.
    Repeating it is harmless; two at once are refused, but where a follower runs it is asked to
    land the present. After an error nothing is lost: what has no manifest is read again. A first
    copy's number is greater than `beyond`. `reached` hears the points of points.py.
    """
    began = clock.now()
    store = Store.of(settings)
    if not first_copy and store.is_followed():
        landed = await_follower(settings, clock, store)
        if landed is not None:
            return landed
    with _ready(settings, clock, progress, reached, first_copy=first_copy) as ready:
        stream(ready.work, ready.source, ready.begun(beyond))
        adopt_copies(ready.work)  # what waited for just this position, if silence made no batch
    return ready.report(clock.now() - began)


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
        _ready(settings, clock, progress, unheard, first_copy=False) as ready,
        ready.work.store.followed(),
    ):
        ready.work.heard = heard
        ready.work.look_again = look_again
        ready.begun()
        stream(ready.work, ready.source, Following(ready.work.store, every, silence, stopped))
    return ready.report(clock.now() - began)


def look_again(work: CaptureWork) -> None:
    """Reads production's catalog anew, for the batch that is about to be published.

    What a bounded capture reads once, before the changes that it lands, a follower must read for
    each batch, after its changes: slot, publications, and what tells a table that was replaced.
    PositionMismatch if the publication was made anew meanwhile.
    """
    if work.last is None:
        return
    names, last = work.settings.replica.source, work.last
    dsn = work.settings.secrets.get(names.dsn)
    with SourceConnection(dsn) as source:
        system = source.identify()
        state = source.read_state(names.slot, names.publication)
    found = Holes.of(state, Wanted.of(work.settings), last[0])
    seen = _origin(state, system, names, work.policy, found)
    known = _definitions(work.store, state, work.policy, last[0])
    work.origin = replace(seen, keys=work.origin.keys, definitions=known)
    silence = silence_of(dsn, work.origin.source, silent_upto(work.store, last[1]))
    guard_resume(last[0], work.origin.source, work.origin.slot, silence)


@dataclass
class _Ready:
    """A capture whose guards have passed: what it works with, and what it found."""

    work: CaptureWork
    source: SourceConnection
    course: ToThePresent
    found: Holes
    first_copy: bool

    def begun(self, beyond: int = 0) -> ToThePresent:
        """Takes the first copy if it is due, or makes sure that going on loses nothing."""
        last = self.work.last
        if last is None or self.first_copy:
            self.first_copy = True
            take_first_copy(self.work, beyond)
            return replace(self.course, flushed=self.source.identify().flushed)
        origin, settings = self.work.origin, self.work.settings
        dsn = settings.secrets.get(settings.replica.source.dsn)
        silence = silence_of(dsn, origin.source, silent_upto(self.work.store, last[1]))
        guard_resume(last[0], origin.source, origin.slot, silence)
        return self.course

    def report(self, took: timedelta) -> CaptureReport:
        """What was done; to be asked when it is."""
        last = self.work.last
        if last is None:
            raise ValueError("a capture ends with a batch")
        landed, seconds = tuple(self.work.landed), took.total_seconds()
        report = report_of(landed, last[0], seconds, first_copy=self.first_copy)
        incomplete = self.work.origin.incomplete
        reasons = {table: self.found.reasons.get(table, STILL) for table in incomplete}
        return replace(report, incomplete=reasons, unlisted=self.found.unlisted)


@contextlib.contextmanager
def _ready(
    settings: Settings, clock: Clock, progress: Progress, reached: Reached, *, first_copy: bool
) -> Iterator[_Ready]:
    store = Store.of(settings)
    dsn = settings.secrets.get(settings.replica.source.dsn)
    sweep_base_backup(settings)  # raw data go first, also if production does not answer
    with store.one_writer(), SourceConnection(dsn) as source:
        store.sweep()
        sweep_copies(store)
        last = None if first_copy else _guarded_last(store)
        names, keys = settings.replica.source, masking_keys(settings)
        policy = Policy.from_settings(settings)
        policy = (as_active if last is None else as_landed)(store, policy, keys)
        checks = checks_of(policy, keys)
        system = source.identify()
        state = source.read_state(names.slot, names.publication)
        if last is not None:
            guard_source(last[0], system, state, names.slot, partial(fork_of, dsn))
        require_prepared(state, names.slot, names.publication, standby=names.decode_from_standby)
        found = Holes.of(state, Wanted.of(settings), None if last is None else last[0])
        known = _definitions(store, state, policy, None if last is None else last[0])
        origin = _origin(state, system, names, policy, found)
        work = CaptureWork(
            settings=settings,
            clock=clock,
            progress=progress,
            store=store,
            policy=policy,
            keys=keys,
            origin=replace(origin, keys=checks, definitions=known),
            reached=reached,
            at_boundary=adopt_copies,
            server_version=state.server_version,
            last=last,
            next_policy=next_policy(policy, keys),
        )
        course = _to_the_present(system, state, clock.now())
        yield _Ready(work, source, course, found, first_copy)


def _guarded_last(store: Store) -> tuple[Manifest, str] | None:
    """The newest batch, if landing can be continued: LandingError if it is broken."""
    require_contiguity(store)
    return last_manifest(store)


def _origin(
    state: SourceState, system: SystemIdentity, names: Source, policy: Policy, found: Holes
) -> Origin:
    return Origin(
        source=state.identity(
            system.system_identifier, system.timeline, names.slot, names.publication
        ),
        slot=state.slot_state(system.flushed),
        policy=policy.fingerprint,
        publications=found.publications,
        incomplete=found.incomplete,
        emptied=found.emptied,
        published=found.tokens,
        catalog=state.catalog,
    )


def _definitions(store: Store, state: SourceState, policy: Policy, last: Manifest | None) -> str:
    before = recorded(store, last.definitions if last is not None else "")
    return record(store, leaving(state.definitions, policy, state.present, before))


def _to_the_present(system: SystemIdentity, state: SourceState, now: datetime) -> ToThePresent:
    give_up_at = now + state.flushed_within
    if state.in_recovery:
        # A standby decodes what it has replayed; what it only received may wait there for long.
        return ToThePresent(state.present, state.present, give_up_at)
    return ToThePresent(system.flushed, max(system.flushed, state.present), give_up_at)
