"""Deadlines: a time of day that is promised every night, in somebody's time zone.

Here: when the next one falls, which night a moment belongs to, and the hours that a zone skips or
repeats. Not here: how long the work takes (projection.py), whether it is done (readiness.py).

Times are wall clock times of the zone. Where the zone skips the hour (spring), the deadline falls
on the first moment after the gap; where it repeats the hour (autumn), on the first of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = timedelta(days=1)

LOOK_AHEAD_DAYS: Final = 400
"""A year and a month: both clock changes of every zone fall into it."""


@dataclass(frozen=True, slots=True)
class Night:
    """One night's work: it begins, and it must be done by its deadline. Both aware, in the zone."""

    begins: datetime
    deadline: datetime

    @property
    def day(self) -> date:
        """The calendar day of the deadline: the night's name."""
        return self.deadline.date()


@dataclass(frozen=True, slots=True)
class Deadline:
    """Work that begins at `begins_at` must be done `at`, every day, by the clock of `zone`."""

    zone: ZoneInfo
    at: time
    begins_at: time

    def next_after(self, now: datetime) -> datetime:
        """The first deadline that is later than `now`, in the zone."""
        day = now.astimezone(self.zone).date() - DAY
        while (falls := on_clock(self.zone, day, self.at)) <= now:
            day += DAY
        return falls

    def night_of(self, now: datetime) -> Night:
        """The night whose deadline is nearest to `now`: a missed one is spoken of for 12 hours."""
        ahead = self.next_after(now)
        before = on_clock(self.zone, ahead.date() - DAY, self.at)
        return self.night(ahead if elapsed(now, ahead) <= elapsed(before, now) else before)

    def night_after(self, night: Night) -> Night:
        """The night that follows."""
        return self.night(self.next_after(night.deadline))

    def night(self, deadline: datetime) -> Night:
        """The night that ends with this deadline; it begins less than a day before."""
        day = deadline.date() if self.begins_at < self.at else deadline.date() - DAY
        return Night(on_clock(self.zone, day, self.begins_at), deadline)

    def longest_night(self, since: date) -> timedelta:
        """The most time between begin and deadline within a year: one hour more in autumn."""
        nights = (
            self.night(on_clock(self.zone, since + n * DAY, self.at))
            for n in range(LOOK_AHEAD_DAYS)
        )
        return max(elapsed(night.begins, night.deadline) for night in nights)


def on_clock(zone: ZoneInfo, day: date, at: time) -> datetime:
    """The moment when the zone's clock shows `at` on `day`; see the module for odd hours."""
    local = datetime.combine(day, at, zone)
    # A round trip through UTC moves a time that the clock skips to the other side of the gap.
    settled = local.astimezone(UTC).astimezone(zone)
    if settled.replace(tzinfo=None) == local.replace(tzinfo=None):
        return settled
    return _first_moment_after_gap(zone, local)


def elapsed(start: datetime, end: datetime) -> timedelta:
    """The time that really passes; subtracting datetimes of one zone would count clock faces."""
    return end.astimezone(UTC) - start.astimezone(UTC)


def odd_day(zone: ZoneInfo, at: time, since: date) -> date | None:
    """The first day within a year on which the zone's clock skips or repeats `at`, if any."""
    for n in range(LOOK_AHEAD_DAYS):
        day = since + n * DAY
        first, second = (datetime.combine(day, at, zone).replace(fold=fold) for fold in (0, 1))
        if first.utcoffset() != second.utcoffset():
            return day
    return None


def _first_moment_after_gap(zone: ZoneInfo, missing: datetime) -> datetime:
    earlier = missing.replace(fold=1).astimezone(UTC)
    later = missing.replace(fold=0).astimezone(UTC)
    before = earlier.astimezone(zone).utcoffset()
    while later - earlier > timedelta(seconds=1):
        middle = earlier + (later - earlier) / 2
        if middle.astimezone(zone).utcoffset() == before:
            earlier = middle
        else:
            later = middle
    return later.replace(microsecond=0).astimezone(zone)
