"""Apply: pending batches become staging, all tables and the ledger in one transaction.

Here: the promise, the report, and going on without a table that cannot follow. Not here: what
happens inside the transaction (attempt.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.settings.load import Settings
from analytics_replica.staging.attempt import CannotFollow, Work, attempt
from analytics_replica.staging.ledger import State
from analytics_replica.staging.merge import Changes


@dataclass(frozen=True, slots=True)
class TableApplied:
    """What one apply did to a table. The total is counted along, not counted anew."""

    inserted: int
    updated: int
    deleted: int
    rows_total_estimate: int


@dataclass(frozen=True)
class ApplyReport:
    """What one apply did: staging now is production at `position`.

    `tables` has every table that follows production, also those without changes; `quarantined`
    the others, with the reason.
    """

    position: Lsn
    batches: int
    tables: Mapping[TableName, TableApplied]
    seconds: float
    last_batch: int
    quarantined: Mapping[TableName, str]


def apply_pending(
    settings: Settings,
    clock: Clock,
    *,
    progress: Progress = SILENT,
    upto_sequence: int | None = None,
) -> ApplyReport:
    """Applies all pending batches (up to this one, if given) in one transaction.

    Readers see staging as it was before, then as it is after. Nothing pending changes nothing. A
    crash at any point leaves the last state. AlreadyRunning if another apply runs; LandingBroken
    if a file is not what was landed. A table that cannot follow is quarantined; others go on.
    """
    return run(Work(settings, clock, progress, upto_sequence))


def run(work: Work) -> ApplyReport:
    """Does the work, without the tables that turn out not to be able to follow."""
    began = time.perf_counter()
    refused = dict(work.refused)
    while True:
        try:
            done = attempt(work, refused)
            break
        except CannotFollow as stop:
            # Its rows were touched already, so everything was rolled back.
            refused[stop.table] = stop.cause
    tables = {
        table: _applied(done.changes.get(table, Changes()), known.rows)
        for table, known in done.ledger.tables.items()
        if known.state is State.OK
    }
    return ApplyReport(
        position=done.ledger.position,
        batches=done.batches,
        tables=tables,
        seconds=time.perf_counter() - began,
        last_batch=done.ledger.last_batch,
        quarantined={
            table: known.reason or ""
            for table, known in done.ledger.tables.items()
            if known.state is State.QUARANTINED
        },
    )


def _applied(changes: Changes, rows: int) -> TableApplied:
    return TableApplied(changes.inserted, changes.updated, changes.deleted, rows)
