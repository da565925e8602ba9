"""What production keeps for our slot, how fast that grows, and when it will be too much.

Here: the judgement from manifests alone; production is neither asked nor written to. Not here:
reading the slot (source.slot), landing's own batches (contiguity.py).

Production removes log only behind our slot. With max_slot_wal_keep_size the server says how much
more may be written before it gives the slot up; without it production's disk is the limit, which
we cannot see, and `deadlines.slot_retention_warn_mb` stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.landing.layout import Store, manifest_path
from analytics_replica.landing.manifest import from_json, sequences
from analytics_replica.settings.schema import Deadlines

ABOUT = "slot retention"

NEWEST: Final = 60
"""Manifests that the rate is measured over: ten hours at one capture every ten minutes."""

LEAST_WINDOW: Final = timedelta(minutes=2)
"""A rate over less says nothing: one bulk load would look like a flood."""

WARN_SHARE, CRITICAL_SHARE = 0.5, 0.8
WARN_BEFORE, CRITICAL_BEFORE = timedelta(hours=6), timedelta(hours=1)

NEXT: Final = (
    "Run `analytics-replica capture`: it releases the log. docs/runbooks/slot-is-growing.md says "
    "what else can hold it, and has the kill switch."
)
LOST_NEXT: Final = "Run `analytics-replica recover` (docs/runbooks/slot-lost.md)."


class Level(StrEnum):
    """How near the slot is to being given up."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be kept: `warn_bytes` if the server sets no limit; how often captures come."""

    warn_bytes: int
    every: timedelta = timedelta(minutes=10)

    @classmethod
    def of(cls, deadlines: Deadlines) -> Allowance:
        """What replica.yaml allows."""
        every = timedelta(minutes=deadlines.capture_every_minutes)
        return cls(deadlines.slot_retention_warn_mb * 2**20, every)


@dataclass(frozen=True, slots=True)
class SlotHealth:
    """The slot as the last capture found it, carried on to now at the rate that was measured.

    `kept_bytes` and `left` are estimates if captures stopped since. `limited` says whether the
    server itself sets the limit. `left` is the time until the limit if nothing is captured
    meanwhile; None without a rate. `stuck_since` is None while captures come and release log.
    """

    slot: str
    level: Level
    restart_lsn: Lsn
    confirmed_lsn: Lsn
    wal_status: str
    kept_bytes: int
    limit_bytes: int
    limited: bool
    bytes_per_hour: int | None
    left: timedelta | None
    stuck_since: datetime | None
    seen_at: datetime

    @property
    def says(self) -> str:
        """One sentence: position, bytes, rate, time left."""
        limit = "max_slot_wal_keep_size" if self.limited else "slot_retention_warn_mb"
        text = (
            f"{_mb(self.kept_bytes)} of log are kept since {self.restart_lsn}, "
            f"{self.kept_bytes / self.limit_bytes:.0%} of {_mb(self.limit_bytes)} ({limit})"
        )
        if self.bytes_per_hour is not None and self.left is not None:
            text += f"; {_mb(self.bytes_per_hour)} more each hour, which lasts {_span(self.left)}"
        if self.stuck_since is not None:
            text += f"; nothing was released since {self.stuck_since.astimezone(UTC):%F %H:%M} UTC"
        if self.wal_status not in ("reserved", "extended"):
            text += f"; the server calls it {self.wal_status}"
        return text


def slot_health(recent: Sequence[Manifest], now: datetime, allowed: Allowance) -> SlotHealth:
    """The slot's health now, from the newest batches (oldest first, at least one).

    Levels: lost; critical from 80 % of the limit, when the server is about to remove log, or under
    an hour before the limit; warn from 50 % or under six hours. The time counts only while
    nothing is released: with captures coming, what is kept falls again with each.
    """
    last = recent[-1]
    slot, elapsed = last.slot, max(now - last.captured_at, timedelta(0))
    rate = max((r for r in (_rate(recent), _rate(recent[-6:])) if r is not None), default=None)
    kept = slot.retained_bytes + round((rate or 0) * elapsed.total_seconds())
    safe = slot.safe_wal_bytes
    limit = max(1, allowed.warn_bytes if safe is None else slot.retained_bytes + safe)
    left = timedelta(seconds=max(0, limit - kept) / rate) if rate else None
    stuck_since = _stuck_since(recent, now, 3 * allowed.every)
    return SlotHealth(
        slot=last.source.slot,
        level=_level(slot.wal_status, kept / limit, left if stuck_since else None),
        restart_lsn=slot.restart_lsn,
        confirmed_lsn=slot.confirmed_lsn,
        wal_status=slot.wal_status,
        kept_bytes=kept,
        limit_bytes=limit,
        limited=safe is not None,
        bytes_per_hour=None if rate is None else round(rate * 3600),
        left=left,
        stuck_since=stuck_since,
        seen_at=last.captured_at,
    )


def recent_manifests(store: Store) -> list[Manifest]:
    """The newest batches, oldest first; empty if nothing was landed.

    Whatever is folded while they are read is passed over.
    """
    paths = [manifest_path(sequence) for sequence in sequences(store)[-NEWEST:]]
    read = zip(paths, store.read_some(paths), strict=True)
    return [from_json(data, path) for path, data in read if data is not None]


def check_slot_retention(store: Store, now: datetime, allowed: Allowance) -> Verdict:
    """PASS while the level is ok; FAIL with what is kept, since where, how fast and how long.

    CANNOT_TELL before the first capture.
    """
    recent = recent_manifests(store)
    if not recent:
        return Verdict.cannot_tell(ABOUT, Finding("slot", "nothing was captured yet"))
    return health_verdict(slot_health(recent, now, allowed))


def health_verdict(health: SlotHealth) -> Verdict:
    """The judgement on this health, with its figures."""
    figures: dict[str, int | float | str] = {
        "level": health.level.value,
        "retained_bytes": health.kept_bytes,
        "limit_bytes": health.limit_bytes,
        "wal_status": health.wal_status,
        "restart_lsn": str(health.restart_lsn),
        "confirmed_lsn": str(health.confirmed_lsn),
    }
    if health.bytes_per_hour is not None:
        figures["bytes_per_hour"] = health.bytes_per_hour
    if health.left is not None:
        figures["hours_left"] = round(health.left / timedelta(hours=1), 1)
    faults = []
    if health.level is not Level.OK:
        faults = [
            Finding(f"slot {health.slot}", f"{health.level.value}: {health.says}"),
            Finding("next", LOST_NEXT if health.level is Level.LOST else NEXT),
        ]
    return Verdict.from_findings(ABOUT, faults, **figures)


def _level(wal_status: str, share: float, left: timedelta | None) -> Level:
    if wal_status == "lost":
        return Level.LOST
    soon = left if left is not None else WARN_BEFORE
    if wal_status == "unreserved" or share >= CRITICAL_SHARE or soon < CRITICAL_BEFORE:
        return Level.CRITICAL
    if share >= WARN_SHARE or soon < WARN_BEFORE:
        return Level.WARN
    return Level.OK


def _rate(recent: Sequence[Manifest]) -> float | None:
    """Bytes of log that production writes each second; None if too little was seen of it."""
    first, last = recent[0], recent[-1]
    window = last.captured_at - first.captured_at
    same = first.source.system_identifier == last.source.system_identifier
    if window < LEAST_WINDOW or not same:
        return None
    return max(0, _written(last) - _written(first)) / window.total_seconds()


def _written(batch: Manifest) -> int:
    """How far production's log went when this batch was captured, at least."""
    return max(batch.slot.restart_lsn.value + batch.slot.retained_bytes, batch.to_lsn.value)


def _stuck_since(recent: Sequence[Manifest], now: datetime, patience: timedelta) -> datetime | None:
    """Since when nothing is released: captures stopped, or a transaction in production holds it."""
    last = recent[-1]
    if now - last.captured_at > patience:
        return last.captured_at
    same = [m for m in recent if m.slot.restart_lsn == last.slot.restart_lsn]
    confirmed = last.slot.confirmed_lsn > same[0].slot.confirmed_lsn
    held = confirmed and now - same[0].captured_at > patience
    return same[0].captured_at if held else None


def _mb(size: int) -> str:
    return f"{size / 2**20:,.1f} MB"


def _span(left: timedelta) -> str:
    hours = left / timedelta(hours=1)
    return f"{hours:,.1f} h" if hours >= 2 else f"{left / timedelta(minutes=1):,.0f} min"
