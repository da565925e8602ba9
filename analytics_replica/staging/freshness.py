"""How fresh each table is: captured to, landed to, applied to, published; and whether it moves.

Here: the judgement, from the newest manifests, the record of silence, the ledger and what readers
see. Not here: how readers are told (serving.as_of), the slot's own health (landing.retention).

Two clocks: `committed_at` is production's, from the log's commit records; `seen_at` is ours, when
the capture that proves it looked. Behind is counted on one clock, ours, so that a production that
commits nothing is not behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import read_digested
from analytics_replica.landing.retention import recent_manifests
from analytics_replica.landing.silence import Silence, recorded_silence
from analytics_replica.postgres.connect import Connection
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger
from analytics_replica.staging.ledger import AppliedTable, Ledger, State

MISSED: Final = 3
"""So many captures that did not come mean that they stopped."""

_APPLIED_AT: Final = "select table_schema, table_name, applied_at from ops.applied_tables"


class Standing(StrEnum):
    """Whether a table moves.

    CURRENT: the newest batch has changes of it. NO_CHANGES: production is known to have made none
    since the last. STUCK: nobody knows, or they cannot be applied.
    """

    CURRENT = "current"
    NO_CHANGES = "no changes"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far something is. Every commit before `position` is contained.

    `committed_at` is the last commit known to be contained, None if none was ever seen.
    """

    position: Lsn
    committed_at: datetime | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """One table's indices. `reason` names tables, positions and times, never a value of a row.

    `landed` is the end of the last batch that has changes of the table, or the last change that
    staging has of it; `applied_at` is by the clock of the apply.
    """

    table: TableName
    standing: Standing
    reason: str
    captured: Mark | None
    landed: Mark | None
    applied: Mark | None
    applied_at: datetime | None
    published: Mark | None


@dataclass(frozen=True)
class Evidence:
    """What freshness is judged from: constant in size, however much was ever landed.

    `recent` are the newest batches, oldest first; `ledger` is None where it was not asked.
    `patience` is how long no capture may come. Up to `proven` a table without changes is known to
    have none. `published` is what readers see, by staging name.
    """

    now: datetime
    patience: timedelta
    recent: Sequence[Manifest]
    captured: Mark | None
    proven: Mark | None
    ledger: Ledger | None = None
    applied_at: Mapping[TableName, datetime] = field(default_factory=dict)
    published: Mapping[str, Mark] = field(default_factory=dict)

    @classmethod
    def of(
        cls, recent: Sequence[Manifest], silence: Silence | None, now: datetime, patience: timedelta
    ) -> Evidence:
        """The evidence of landing alone."""
        captured = _captured(recent, silence)
        return cls(now, patience, recent, captured, captured)

    def of_staging(self) -> Evidence:
        """The same for what staging contains: later batches and silence prove nothing of it."""
        known = self.ledger or Ledger()
        recent = [m for m in self.recent if m.sequence <= known.last_batch]
        ledgers = Mark(known.position, known.last_commit_at, None)
        return replace(self, recent=recent, proven=_captured(recent, None) or ledgers)


def landing_evidence(settings: Settings, now: datetime) -> Evidence:
    """What landing tells: reads its newest manifests and the record of silence, nothing else."""
    store = Store.of(settings)
    patience = MISSED * timedelta(minutes=settings.replica.deadlines.capture_every_minutes)
    recent = recent_manifests(store)
    digest = read_digested(store, recent[-1].sequence)[1] if recent else ""
    silence = recorded_silence(store, digest)
    return Evidence.of(recent, silence, now, patience)


def with_ledger(evidence: Evidence, conn: Connection) -> Evidence:
    """The evidence with what the warehouse's ledger says. Reads one row for each table."""
    known = ledger.read(conn)
    at: dict[TableName, datetime] = {}
    if known.tables:
        with conn.cursor() as cursor:
            cursor.execute(_APPLIED_AT)
            at = {TableName(schema, name): when for schema, name, when in cursor.fetchall()}
    return replace(evidence, ledger=known, applied_at=at)


def freshness_of(
    table: TableName, evidence: Evidence, staging_name: str | None = None
) -> Freshness:
    """The indices of one table. Pure; its cost does not grow with landing or with the table."""
    known = evidence.ledger.tables.get(table) if evidence.ledger else None
    landed, applied = _landed(table, evidence.recent, known), _applied(evidence, known)
    standing, reason = _standing(table, evidence, landed, known)
    return Freshness(
        table=table,
        standing=standing,
        reason=reason,
        captured=evidence.captured,
        landed=landed,
        applied=applied,
        applied_at=evidence.applied_at.get(table),
        published=evidence.published.get(staging_name or table.name),
    )


def seconds_behind(mark: Mark | None, now: datetime) -> float | None:
    """Seconds since it was known that nothing is missing, by our clock; None if it never was."""
    if mark is None or mark.seen_at is None:
        return None
    return max(0.0, (now - mark.seen_at).total_seconds())


def _captured(recent: Sequence[Manifest], silence: Silence | None) -> Mark | None:
    if not recent:
        return None
    last = recent[-1]
    position, seen_at = last.position, last.captured_at
    if silence is not None and silence.upto > position:
        position, seen_at = silence.upto, silence.at or seen_at
    return Mark(position, _last_commit(recent), seen_at)


def _landed(
    table: TableName, recent: Sequence[Manifest], known: AppliedTable | None
) -> Mark | None:
    for batch in reversed(recent):
        # A base holds rows, not changes: when its rows last changed, the ledger knows.
        if batch.folded is None and any(file.table == table for file in batch.files):
            return Mark(batch.to_lsn, batch.last_commit_at, batch.captured_at)
    if known is None:
        return None
    position = max((p for p in (known.last_lsn, known.copy_position) if p), default=None)
    return None if position is None else Mark(position, known.last_commit_at, None)


def _applied(evidence: Evidence, known: AppliedTable | None) -> Mark | None:
    if known is None or evidence.ledger is None or not known.last_batch:
        return None
    contained = [m for m in evidence.recent if m.sequence <= known.last_batch]
    seen_at = contained[-1].captured_at if contained else None
    if known.last_batch == evidence.ledger.last_batch:
        committed_at = evidence.ledger.last_commit_at
    else:  # It stands still: other tables' commits since then are not contained in it.
        committed_at = _last_commit(contained) or known.last_commit_at
    return Mark(known.position, committed_at, seen_at)


def _last_commit(batches: Sequence[Manifest]) -> datetime | None:
    return max((m.last_commit_at for m in batches if m.last_commit_at is not None), default=None)


def _standing(
    table: TableName, evidence: Evidence, landed: Mark | None, known: AppliedTable | None
) -> tuple[Standing, str]:
    proven, stuck = evidence.proven, _stuck(table, evidence, known)
    if stuck is not None or proven is None:
        return Standing.STUCK, stuck or "nothing was captured yet"
    if landed is not None and landed.position >= proven.position:
        return Standing.CURRENT, ""
    since = "it was first copied" if landed is None else _since(landed)
    at = "" if proven.seen_at is None else f" at {moment(proven.seen_at)}"
    return Standing.NO_CHANGES, f"no changes since {since}, proven to {proven.position}{at}"


def _stuck(table: TableName, evidence: Evidence, known: AppliedTable | None) -> str | None:
    """Why the table does not follow production; None if it does."""
    captured, told = evidence.captured, evidence.ledger
    if captured is None:
        return "nothing was captured yet"
    if evidence.recent and table in evidence.recent[-1].incomplete:
        return f"changes of it were not published; `analytics-replica resync {table}` copies it"
    if told is not None and known is None:
        return "nothing of it was applied yet"
    if known is not None and known.state is State.QUARANTINED:
        return known.reason or "quarantined"
    if captured.seen_at is not None and evidence.now - captured.seen_at > evidence.patience:
        return f"nothing was captured since {moment(captured.seen_at)}"
    return None


def _since(landed: Mark) -> str:
    return str(landed.position) if landed.committed_at is None else moment(landed.committed_at)


def moment(at: datetime) -> str:
    """The moment in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
