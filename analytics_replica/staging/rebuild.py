"""Rebuild: staging from landing alone.

Here: forgetting what staging contains, so that one apply makes all of it again. Not here: the
apply (apply.py). Readers see the old tables until the new ones are complete.
"""

from __future__ import annotations

from collections.abc import Collection

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ddl
from analytics_replica.staging.apply import ApplyReport
from analytics_replica.staging.attempt import Work
from analytics_replica.staging.bookkeeping import forget
from analytics_replica.staging.ledger import read_ledger
from analytics_replica.staging.plans import removable_views
from analytics_replica.staging.warehouse import Transaction


def rebuild(settings: Settings, clock: Clock, *, progress: Progress = SILENT) -> ApplyReport:
    """Drops staging and the ledger and applies everything that landing holds, in one transaction.

    Views of gold_a and gold_b that read staging go with it, until dbt makes them again;
    TableQuarantined, with nothing changed, if another view reads it. A table whose first batches
    are gone from landing is quarantined.
    """
    schema = settings.replica.warehouse.staging_schema

    def start_anew(within: Transaction) -> None:
        known = read_ledger(within.rows).tables.values()
        _drop(within, schema, {(table.table, table.staging_name) for table in known})
        forget(within)

    return run(Work(settings, clock, progress, prepare=start_anew))


def _drop(within: Transaction, schema: str, known: Collection[tuple[TableName, str]]) -> None:
    present = ddl.held_tables(within, schema)
    for table, staging_name in sorted(known):
        if staging_name in present:
            target = TableName(schema, staging_name)
            ddl.drop_views(within, removable_views(within, target, table))
            ddl.drop_table(within, target)
