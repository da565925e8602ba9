"""Deadlines fall on wall clocks, also in the nights when the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.deadlines.deadline import Deadline, elapsed, odd_day, on_clock

BERLIN = ZoneInfo("Europe/Berlin")
FOUR = Deadline(BERLIN, time(4, 0), time(22, 0))
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "falls"),
    [
        ("2026-11-21 02:59", "2026-11-21 03:00"),  # winter: Berlin is UTC+1
        ("2026-11-21 03:00", "2026-11-22 03:00"),  # not the one that falls now
        ("2026-07-01 12:00", "2026-07-02 02:00"),  # summer: UTC+2
        ("2026-03-29 00:30", "2026-03-29 02:00"),  # the night whose 02:00-03:00 does not exist
        ("2026-10-25 00:30", "2026-10-25 03:00"),  # the night that has 02:00-03:00 twice
    ],
)
def test_four_o_clock_is_four_o_clock_in_berlin_all_year(now: str, falls: str) -> None:
    assert FOUR.next_after(utc(now)) == utc(falls)


def test_the_night_before_summer_is_an_hour_shorter_and_before_winter_an_hour_longer() -> None:
    spring = FOUR.night_of(utc("2026-03-29 01:00"))
    autumn = FOUR.night_of(utc("2026-10-25 01:00"))
    assert elapsed(spring.begins, spring.deadline) == timedelta(hours=5)
    assert elapsed(autumn.begins, autumn.deadline) == timedelta(hours=7)


def test_a_missed_deadline_is_spoken_of_for_twelve_hours() -> None:
    assert FOUR.night_of(berlin("2026-11-21 15:59")).day == date(2026, 11, 21)
    assert FOUR.night_of(berlin("2026-11-21 16:01")).day == date(2026, 11, 22)


def test_a_night_may_begin_on_the_same_day_or_the_day_before() -> None:
    late_start = Deadline(BERLIN, time(4, 0), time(3, 10))
    now = berlin("2026-11-21 03:30")
    assert late_start.night_of(now).begins == berlin("2026-11-21 03:10")
    assert FOUR.night_of(now).begins == berlin("2026-11-20 22:00")


def test_a_time_that_the_clock_skips_falls_on_the_first_moment_after_the_gap() -> None:
    assert on_clock(BERLIN, date(2026, 3, 29), time(2, 30)) == utc("2026-03-29 01:00")


def test_a_time_that_the_clock_repeats_falls_on_the_first_of_the_two() -> None:
    # Compared in UTC: Python calls a doubled time unequal to every time of another zone (PEP 495).
    doubled = on_clock(BERLIN, date(2026, 10, 25), time(2, 30))
    assert doubled.astimezone(UTC) == utc("2026-10-25 00:30")


@pytest.mark.parametrize(
    ("zone", "at", "odd"),
    [
        ("Europe/Berlin", time(2, 30), date(2027, 3, 28)),
        ("Europe/Berlin", time(3, 10), None),
        ("America/New_York", time(1, 30), date(2027, 11, 7)),
        ("UTC", time(2, 30), None),
        ("Australia/Lord_Howe", time(2, 15), date(2027, 10, 3)),  # half an hour only
    ],
)
def test_hours_in_which_the_clocks_change_are_known(zone: str, at: time, odd: date | None) -> None:
    assert odd_day(ZoneInfo(zone), at, date(2026, 11, 21)) == odd


def test_the_longest_night_of_the_year_has_the_hour_that_autumn_adds() -> None:
    assert FOUR.longest_night(date(2026, 1, 1)) == timedelta(hours=7)
    quick = Deadline(BERLIN, time(4, 0), time(3, 10))
    assert quick.longest_night(date(2026, 1, 1)) == timedelta(minutes=50)


@given(
    zone=st.sampled_from(ZONES),
    at=st.times(),
    begins=st.times(),
    now=st.integers(1_600_000_000, 2_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
)
def test_every_moment_has_a_next_deadline_within_a_day_and_a_night_that_began_before_it(
    zone: str, at: time, begins: time, now: datetime
) -> None:
    deadline = Deadline(ZoneInfo(zone), at, begins)
    ahead = deadline.next_after(now)
    assert timedelta(0) < elapsed(now, ahead) <= timedelta(hours=25)
    night = deadline.night_of(now)
    assert timedelta(0) <= elapsed(night.begins, night.deadline) <= timedelta(hours=25)
