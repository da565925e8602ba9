"""What a capture did, and having a follower do it.

Here: the report, and asking the follower that runs to land the present. Not here: capturing and
following (capture.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from analytics_replica.domain.batches import Manifest, SlotState
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import AlreadyRunning
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest, manifests
from analytics_replica.settings.load import Settings
from analytics_replica.source.replication import SourceConnection

FOLLOWER_PATIENCE: Final = timedelta(minutes=10)
"""How long a capture waits for the follower to land the present before it says that it did not."""

_LOOK_S: Final = 0.2


@dataclass(frozen=True)
class CaptureReport:
    """What one capture did. `rows` counts landed events per table, also those of a first copy.

    `incomplete`: tables with a hole, and why. `unlisted`: what is published and not in
    replica.yaml, and so was left out.
    """

    manifests: tuple[Manifest, ...]
    position: Lsn
    rows: Mapping[TableName, int]
    slot: SlotState
    seconds: float
    first_copy: bool
    incomplete: Mapping[TableName, str] = field(default_factory=dict)
    unlisted: tuple[TableName, ...] = ()


def await_follower(settings: Settings, clock: Clock, store: Store) -> CaptureReport | None:
    """Asks the follower to land the present and waits until it did; None if it ended meanwhile.

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
            return report_of(landed, last[0], seconds, first_copy=before is None)
        if not store.is_followed():
            return None
        time.sleep(_LOOK_S)
    raise AlreadyRunning(
        what=f"A follower holds landing, and did not come to {flushed} within "
        f"{FOLLOWER_PATIENCE.total_seconds():.0f} s.",
        why="What it landed is complete; the present is not in it yet.",
        next="Look at the follower's output; docs/runbooks/capture-behind.md goes on from there.",
    )


def report_of(
    landed: tuple[Manifest, ...], last: Manifest, seconds: float, *, first_copy: bool
) -> CaptureReport:
    """The report of these batches; `last` is the newest of landing."""
    rows: Counter[TableName] = Counter()
    for manifest in landed:
        for file in manifest.files:
            rows[file.table] += file.rows
    return CaptureReport(landed, last.position, rows, last.slot, seconds, first_copy)
