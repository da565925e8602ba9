"""The slot's level follows from its manifests and the clock: how much, how fast, how long.

Figures are written in MB and hours; the manifests are those that capture would have written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analytics_replica.domain.batches import BatchKind, Manifest, SlotState, SourceIdentity
from analytics_replica.domain.lsn import Lsn
from analytics_replica.landing.retention import (
    Allowance,
    Level,
    SlotHealth,
    health_verdict,
    slot_health,
)

MB = 2**20
NIGHT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
ALLOWED = Allowance(warn_bytes=1000 * MB, every=timedelta(minutes=10))


def batch(
    at: timedelta,
    *,
    written: int,
    kept: int,
    safe: int | None = None,
    status: str = "reserved",
) -> Manifest:
    """A capture `at` after the night began, when `written` MB of log were written in all."""
    present = (10_000 + written) * MB
    slot = SlotState(
        restart_lsn=Lsn(present - kept * MB),
        confirmed_lsn=Lsn(present - 1),
        wal_status=status,
        retained_bytes=kept * MB,
        safe_wal_bytes=None if safe is None else safe * MB,
    )
    source = SourceIdentity("1", 1, "shop", "replica", "p", "f")
    return Manifest(
        sequence=1,
        kind=BatchKind.STREAM,
        from_lsn=Lsn(present - 10),
        to_lsn=Lsn(present),
        source=source,
        slot=slot,
        policy="",
        files=(),
        transactions=0,
        last_commit_at=None,
        captured_at=NIGHT + at,
        previous="",
    )


def captured(kept: int, safe: int | None, rate: int, status: str = "reserved") -> list[Manifest]:
    """Two captures, an hour apart, between which `rate` MB were written."""
    return [
        batch(timedelta(0), written=0, kept=1, safe=safe, status=status),
        batch(timedelta(hours=1), written=rate, kept=kept, safe=safe, status=status),
    ]


def judged(recent: list[Manifest], later: timedelta = timedelta(minutes=10)) -> SlotHealth:
    """The health so long after the newest capture."""
    return slot_health(recent, recent[-1].captured_at + later, ALLOWED)


@pytest.mark.parametrize(
    ("kept", "safe", "rate", "status", "hours", "level"),
    [
        # kept of (kept + safe), MB an hour, hours since the last capture
        (100, 900, 0, "reserved", 0, Level.OK),
        (499, 501, 0, "reserved", 0, Level.OK),
        (500, 500, 0, "reserved", 0, Level.WARN),
        (800, 200, 0, "extended", 0, Level.CRITICAL),
        (100, 900, 600, "reserved", 0, Level.OK),  # 90 min would be left, but captures come
        (100, 900, 100, "reserved", 2, Level.OK),  # 7 h left when captures stopped
        (100, 900, 100, "reserved", 3.1, Level.WARN),  # under 6 h
        (100, 900, 300, "reserved", 2.1, Level.CRITICAL),  # under 1 h
        (100, 900, 0, "unreserved", 0, Level.CRITICAL),
        (100, 900, 0, "lost", 0, Level.LOST),
        # without a limit of the server's: slot_retention_warn_mb, here 1000 MB
        (499, None, 0, "reserved", 0, Level.OK),
        (500, None, 0, "reserved", 0, Level.WARN),
        (801, None, 0, "reserved", 0, Level.CRITICAL),
    ],
)
def test_the_level_follows_share_and_time(
    kept: int, safe: int | None, rate: int, status: str, hours: float, level: Level
) -> None:
    health = judged(captured(kept, safe, rate, status), timedelta(hours=hours))
    assert health.level is level, health.says
    assert health_verdict(health).passed is (level is Level.OK)


def test_the_message_has_position_bytes_rate_and_time_and_what_to_do() -> None:
    health = judged(captured(100, 900, 200), timedelta(hours=2))
    verdict = health_verdict(health)
    assert verdict.findings[0].says == (
        f"warn: 500.0 MB of log are kept since {health.restart_lsn}, 50% of 1,000.0 MB "
        "(max_slot_wal_keep_size); 200.0 MB more each hour, which lasts 2.5 h; "
        "nothing was released since 2026-11-21 04:00 UTC"
    )
    assert "analytics-replica capture" in verdict.findings[1].says
    assert (verdict.figures["level"], verdict.figures["hours_left"]) == ("warn", 2.5)


def test_a_transaction_that_stays_open_is_noticed_although_captures_come() -> None:
    recent = [
        batch(timedelta(minutes=10 * n), written=90 * n, kept=90 * n, safe=5000 - 90 * n)
        for n in range(1, 7)
    ]
    health = judged(recent)
    assert health.stuck_since == recent[0].captured_at
    assert health.bytes_per_hour == 540 * MB


def test_a_burst_counts_more_than_the_hours_before_and_two_minutes_count_for_nothing() -> None:
    quiet = [batch(timedelta(minutes=10 * n), written=0, kept=1, safe=999) for n in range(20)]
    burst = [
        batch(timedelta(minutes=200 + 10 * n), written=100 * n, kept=100, safe=900)
        for n in range(6)
    ]
    assert judged([*quiet, *burst]).bytes_per_hour == 600 * MB
    moments = [batch(timedelta(seconds=n), written=500 * n, kept=1, safe=999) for n in range(100)]
    assert judged(moments).bytes_per_hour is None
