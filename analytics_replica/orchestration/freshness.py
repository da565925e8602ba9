"""Freshness policies: the record of what was promised, layer by layer.

Here: the policies. Not here: warning before they break (sensors.py). A policy alone proves little:
Dagster counts a materialization whose blocking check failed as fresh, and one that never happened
as unknown. Only `ready` runs after every check, so only its policy means ready.
"""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Final

import dagster as dg

from analytics_replica.deadlines.deadline import DAY, Deadline, odd_day
from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.schema import Deadlines

NIGHTLY_WARN: Final = timedelta(hours=25)
NIGHTLY_FAIL: Final = timedelta(hours=26)
"""Built once a night: a day, and the hour that autumn adds."""


def nightly_deadline(deadlines: Deadlines, today: date, at: time | None = None) -> Deadline:
    """The promise of every night, or of one model with a time of its own.

    SettingsInvalid if the zone's clock skips or repeats one of its times on some day of the year:
    there a promise would hold for no moment or for two.
    """
    ready_by = deadlines.ready_by if at is None else at
    for name, moment in (("nightly_start", deadlines.nightly_start), ("ready_by", ready_by)):
        odd = odd_day(deadlines.tz, moment, today)
        if odd is not None:
            raise SettingsInvalid(
                what=f"deadlines.{name} is {moment:%H:%M}, a time that the clocks of "
                f"{deadlines.zone} skip or repeat on {odd}.",
                why="On that day the night would start or end twice, or never.",
                next="Choose a time outside the hour in which clocks change, such as 03:10.",
            )
    return Deadline(deadlines.tz, ready_by, deadlines.nightly_start)


def by_deadline(deadline: Deadline, today: date) -> dg.FreshnessPolicy:
    """Fresh if materialized since the night began, judged at every deadline."""
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{deadline.at.minute} {deadline.at.hour} * * *",
        lower_bound_delta=min(deadline.longest_night(today), DAY),
        timezone=str(deadline.zone),
    )


def by_capture(deadlines: Deadlines) -> dg.FreshnessPolicy:
    """For raw: two missed captures warn, four fail."""
    every = timedelta(minutes=deadlines.capture_every_minutes)
    return dg.FreshnessPolicy.time_window(
        warn_window=2 * every + timedelta(minutes=5), fail_window=4 * every + timedelta(minutes=10)
    )


def by_night() -> dg.FreshnessPolicy:
    """For what every night builds and nobody reads: a missed night."""
    return dg.FreshnessPolicy.time_window(warn_window=NIGHTLY_WARN, fail_window=NIGHTLY_FAIL)
