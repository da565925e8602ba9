"""Memories: what an apply keeps of rows that changed or went, for the tables that ask for it.

Here: which way each table takes: merged plainly, with its deleted rows marked, with a history.
Not here: what each way does (merge.py, multiset.py, deleted.py, history.py).

Tables without `deleted: keep` and `history` cost no statement more than they would without all of
this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ddl
from analytics_replica.staging.compact import Events, open_events
from analytics_replica.staging.ddl import HeldTable
from analytics_replica.staging.deleted import add_marks, drop_marks, keeps_deleted, merge_keeping
from analytics_replica.staging.history import (
    Histories,
    copy_moment,
    open_histories,
    without_histories,
)
from analytics_replica.staging.ledger import Ledger, State
from analytics_replica.staging.merge import Changes, merge
from analytics_replica.staging.multiset import merge_multiset
from analytics_replica.staging.plans import Plan, carry_out
from analytics_replica.staging.quarantine import REFUSALS, quarantined
from analytics_replica.staging.remnants import forget_before, remove_rows
from analytics_replica.staging.shapes import Shape
from analytics_replica.staging.warehouse import Transaction
from analytics_replica.staging.windows import Pending, Window
from analytics_replica.staging.workbench import Workbench


@dataclass(frozen=True)
class Memories:
    """What one apply keeps."""

    within: Transaction
    settings: Settings
    schema: str
    before: Ledger
    todo: Pending
    wanted: Collection[TableName]
    histories: Histories

    def follow_settings(
        self, held: Mapping[str, HeldTable], refused: dict[TableName, WarehouseError]
    ) -> None:
        """Brings the marks of staging's tables in line with `deleted`; adds to `refused`.

        Where it is `remove` again, the rows that were kept go.
        """
        for source in self.wanted:
            target = TableName(self.schema, self.settings.staging_name(source))
            table = held.get(target.name)
            if source not in self.before.tables or table is None or not table.ours:
                continue
            try:
                if self._keeps(source) and table.key and not keeps_deleted(table):
                    add_marks(self.within, target)
                elif not self._keeps(source) and keeps_deleted(table):
                    drop_marks(self.within, target, source)
            except REFUSALS as cause:
                refused.setdefault(source, cause)

    def plan(self, shape: Shape, *, copied: bool) -> Plan | None:
        """What must be done to the table's history; None if it has none. Changes nothing.

        TableQuarantined if the table has no key, or its history cannot follow.
        """
        rules = self.settings.tables[shape.table]
        if rules.remembers and not shape.key:
            option = "history" if rules.history else "deleted: keep"
            line = self.settings.line_of(shape.table)
            raise quarantined(
                shape.table,
                f"it has no key, which `{option}` needs to tell rows apart",
                f"Remove `{option}` from it ({self.settings.file.name} line {line}).",
            )
        if not rules.history:
            return None
        return self.histories.plan(shape.table, shape, copied=copied)

    def merge(
        self, bench: Workbench, window: Window, shape: Shape, plan: Plan, past: Plan | None
    ) -> tuple[Events, Changes]:
        """Brings table and history to the state after the window, as the plans say.

        TableQuarantined if that cannot be done exactly; what was changed must then be rolled back.
        """
        carry_out(self.within, plan, shape)
        rules = self.settings.tables[window.table]
        copied_at = None
        if window.copied_at is not None and rules.remembers:
            copied_at = copy_moment(window.copied_at, self.todo.found, self.before)
        if past is not None:
            self.histories.bring(
                bench, window, shape, past, staging=plan.target, copied_at=copied_at
            )
        if self._keeps(window.table):
            if plan.create:
                add_marks(self.within, plan.target)
            events = open_events(bench, window, shape, truncated=True)
            return events, merge_keeping(self.within, events, plan, copied_at)
        events = open_events(bench, window, shape)
        brought = merge if shape.key else merge_multiset
        return events, brought(self.within, events, plan)

    def finish(
        self, applied: Collection[TableName], refused: Collection[TableName], now: datetime
    ) -> None:
        """Makes the histories of tables without changes where they are missing; forgets in time."""
        ok = {t for t, known in self.before.tables.items() if known.state is State.OK}
        still = (ok & {*self.wanted}) - {*applied, *refused}
        self.histories.settle(still)
        followed = {*applied, *still}
        self.histories.finish(followed, self.todo.advanced(self.before).last_batch, now)
        keeping = [t for t in sorted(followed) if t in self.settings.tables and self._keeps(t)]
        held = ddl.held_tables(self.within, self.schema) if keeping else {}
        for source in keeping:
            target = TableName(self.schema, self.settings.staging_name(source))
            if target.name in held and keeps_deleted(held[target.name]):
                remove_rows(self.within, target, forget_before(self.settings, source, now))

    def _keeps(self, source: TableName) -> bool:
        return self.settings.tables[source].deleted == "keep"


def open_memories(
    within: Transaction,
    settings: Settings,
    schema: str,
    before: Ledger,
    todo: Pending,
    wanted: Collection[TableName],
) -> Memories:
    """What this apply of the `wanted` tables keeps. Makes nothing if no table wants any of it.

    Tables beside staging have no histories: a history is staging's.
    """
    if schema != settings.replica.warehouse.staging_schema:
        settings = without_histories(settings)
    histories = open_histories(within, settings, before)
    return Memories(within, settings, schema, before, todo, wanted, histories)
