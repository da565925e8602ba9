"""Apply: pending batches become staging, all tables and the ledger in one transaction.

Here: the order of one apply, and which tables stand still. Not here: what a table's events mean
(compact.py, lineage.py, multiset.py), how rows get in (merge.py, incoming.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import verify_file
from analytics_replica.postgres.identifiers import compose
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ddl
from analytics_replica.staging.compact import Events, open_events
from analytics_replica.staging.ledger import (
    AppliedTable,
    Ledger,
    State,
    ensure_ledger,
    read_ledger,
    write_ledger,
    write_table,
)
from analytics_replica.staging.merge import Changes, merge
from analytics_replica.staging.multiset import merge_multiset
from analytics_replica.staging.plans import Plan, carry_out, plan_table
from analytics_replica.staging.quarantine import REFUSALS, quarantined
from analytics_replica.staging.shapes import Shape, remembered, shape_of
from analytics_replica.staging.warehouse import StatementRefused, Transaction, transaction
from analytics_replica.staging.windows import Pending, Window, pending
from analytics_replica.staging.workbench import Workbench, workbench


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


@dataclass(frozen=True)
class Work:
    """One apply: its arguments, and the tables that turned out not to be able to follow."""

    settings: Settings
    clock: Clock
    progress: Progress = SILENT
    upto_sequence: int | None = None
    refused: dict[TableName, WarehouseError] = field(default_factory=dict)


class _CannotFollow(Exception):
    """Raised after rows were touched: everything must be rolled back and done without the table."""

    def __init__(self, table: TableName, cause: WarehouseError) -> None:
        super().__init__(str(table))
        self.table = table
        self.cause = cause
