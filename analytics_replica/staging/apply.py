"""Apply: pending batches become staging, all tables and the ledger in one transaction.

Here: the promise, the report, and going on without a table that cannot follow. Not here: what
happens inside the transaction (attempt.py).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.postgres.connect import NO_TIME
from analytics_replica.settings.load import Settings
from analytics_replica.staging.advance import CannotFollow
from analytics_replica.staging.attempt import Work, attempt
from analytics_replica.staging.ledger import State
from analytics_replica.staging.merge import Changes
from analytics_replica.staging.upto import Upto

CHAIN_LOCK: Final = "nightly chain"
"""The purpose whose lock the night holds from its apply to its publication."""


@dataclass(frozen=True, slots=True)
class TableApplied:
    """What one apply did to a table. The total is counted along, not counted anew."""

    inserted: int
    updated: int
    deleted: int
    rows_total_estimate: int


@dataclass(frozen=True)
class ApplyReport:
    """What one apply did: the tables that it was about now are production's at `position`.

    `tables` has every such table that follows production, also those without changes;
    `quarantined` the others, with the reason. `several_instants` is empty, or says where each table
    stands that is further than `staging`, because tables were applied alone.
    """

    position: Lsn
    batches: int
    tables: Mapping[TableName, TableApplied]
    seconds: float
    last_batch: int
    quarantined: Mapping[TableName, str]
    staging: Lsn
    several_instants: Mapping[TableName, Lsn]


def apply_pending(
    settings: Settings,
    clock: Clock,
    *,
    progress: Progress = SILENT,
    upto: Upto | None = None,
    tables: Collection[TableName] = (),
    wait: timedelta = NO_TIME,
) -> ApplyReport:
    """Applies all pending batches, no further than `upto`, in one transaction with the ledger.

    Readers see staging as it was before, then as it is after. Nothing pending changes nothing. A
    crash at any point leaves the last state. Of `tables` only these: then staging is of several
    instants, until all are applied again. AlreadyRunning if another apply runs for longer than
    `wait`; CannotApply if staging is beyond `upto`; LandingBroken if a file is not what was
    landed. A table that cannot follow is quarantined; others go on.
    """
    return _run(Work(settings, clock, progress, upto, frozenset(tables), wait))


def _run(work: Work) -> ApplyReport:
    began = time.perf_counter()
    refused: dict[TableName, WarehouseError] = {}
    while True:
        try:
            done = attempt(work, refused)
            break
        except CannotFollow as stop:
            # Its rows were touched already, so everything was rolled back.
            refused[stop.table] = stop.cause
    about = work.tables or done.ledger.tables.keys()
    known = [table for table in done.ledger.tables.values() if table.table in about]
    return ApplyReport(
        position=done.position,
        batches=done.batches,
        tables={
            table.table: _applied(done.changes.get(table.table, Changes()), table.rows)
            for table in known
            if table.state is State.OK
        },
        seconds=time.perf_counter() - began,
        last_batch=done.ledger.last_batch,
        quarantined={
            table.table: table.reason or "" for table in known if table.state is State.QUARANTINED
        },
        staging=done.ledger.position,
        several_instants={table.table: table.position for table in done.ledger.ahead},
    )


def _applied(changes: Changes, rows: int) -> TableApplied:
    return TableApplied(changes.inserted, changes.updated, changes.deleted, rows)
