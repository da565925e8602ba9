"""Rotation: from the old masking key to the active one, all tables with tokens at once.

Here: the one copy under the active key, and making sure that captures are ready for it. Not here:
copying and landing it (resync.py, recopy.py), what lies beside meanwhile (beside.py).

While replica.yaml's active key is another one than landing's, captures go on under landing's key
and seal the tables with tokens a second time, beside. The copy becomes one batch at a batch
boundary; from that batch on everything is sealed with the active key alone. The next apply brings
all tables over in its one transaction, so readers never join tokens of two keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.errors import AlreadyRunning, SlotBusy
from analytics_replica.landing.capture import capture
from analytics_replica.landing.landed_keys import as_active, landed_key
from analytics_replica.landing.layout import Store
from analytics_replica.landing.recopy import policy_of
from analytics_replica.landing.resync import PATIENCE, ResyncReport, copied_again
from analytics_replica.masking.key_versions import keyed_tables
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings, masking_keys


@dataclass(frozen=True)
class RotationReport:
    """What one rotation did: all tables with tokens are under key `active` in landing now.

    `copied` is None if they were already.
    """

    active: str
    copied: ResyncReport | None


def rotate(
    settings: Settings,
    clock: Clock,
    *,
    progress: Progress = SILENT,
    patience: timedelta = PATIENCE,
    reached: Callable[[str], None] = lambda _: None,
) -> RotationReport:
    """Copies every table with tokens again under the active key and lands them as one batch.

    Captures and applies go on meanwhile, under the old key; the next apply changes staging over,
    all tables in one transaction. Nothing to do changes nothing. A crash leaves the old tokens
    everywhere, and repeating it completes it. Errors are those of a resync.
    """
    store, keys = Store.of(settings), masking_keys(settings)
    policy = as_active(store, Policy.from_settings(settings), keys)
    tables = keyed_tables(policy)
    if not tables or landed_key(store, policy) in (None, keys.active):
        return RotationReport(keys.active, None)
    # What a capture that began under an older replica.yaml still lands, comes before the copy then.
    with contextlib.suppress(AlreadyRunning, SlotBusy):
        capture(settings, clock, progress=progress)
    reached("captured")
    copied = copied_again(
        settings,
        clock,
        policy_of(policy, set(tables)),
        policy,
        progress=progress,
        patience=patience,
        reached=reached,
    )
    return RotationReport(keys.active, copied)
