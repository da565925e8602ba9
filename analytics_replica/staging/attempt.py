"""One attempt at an apply: everything that happens inside its transaction, in order.

Here: the order, what the ledger is told of each table, and which tables stand still. Not here:
what a table's events mean (compact.py, lineage.py), how rows get in (memories.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from analytics_replica.domain.batches import CatalogTable
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import verify_file
from analytics_replica.postgres.identifiers import compose
from analytics_replica.settings.load import Settings
from analytics_replica.staging import bookkeeping, ddl
from analytics_replica.staging.compact import Events
from analytics_replica.staging.identity import follow_identity, require_no_hole
from analytics_replica.staging.ledger import AppliedTable, Ledger, State, read_ledger
from analytics_replica.staging.memories import Memories, open_memories
from analytics_replica.staging.merge import Changes
from analytics_replica.staging.plans import NEVER_COPIED, Plan, plan_table
from analytics_replica.staging.quarantine import REFUSALS, quarantined
from analytics_replica.staging.roster import follow_settings
from analytics_replica.staging.shapes import Shape, remembered, shape_of
from analytics_replica.staging.warehouse import StatementRefused, Transaction, transaction
from analytics_replica.staging.windows import Pending, Window, pending
from analytics_replica.staging.workbench import Workbench, workbench


def _nothing(within: Transaction) -> None:
    del within


@dataclass(frozen=True)
class Work:
    """What an apply is asked to do. `prepare` runs first inside the transaction."""

    settings: Settings
    clock: Clock
    progress: Progress = SILENT
    upto_sequence: int | None = None
    prepare: Callable[[Transaction], None] = _nothing
    refused: Mapping[TableName, WarehouseError] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What an attempt did, and what the ledger says now."""

    ledger: Ledger
    batches: int
    changes: Mapping[TableName, Changes]


class CannotFollow(Exception):
    """One table cannot follow, found after rows were touched: roll back, go on without it."""

    def __init__(self, table: TableName, cause: WarehouseError) -> None:
        super().__init__(str(table))
        self.table = table
        self.cause = cause


def attempt(work: Work, refused: Mapping[TableName, WarehouseError]) -> Done:
    """Applies what is pending, without the refused tables, which are quarantined.

    CannotFollow, with everything rolled back, if another table must be refused, too.
    """
    store = Store(work.settings.landing_url)
    dsn = work.settings.secrets.get(work.settings.replica.warehouse.dsn)
    with workbench(store) as bench, transaction(dsn) as within:
        within.lock()
        bookkeeping.ensure_ledger(within)
        ddl.ensure_schema(within, work.settings.replica.warehouse.staging_schema)
        work.prepare(within)
        before = read_ledger(within.rows)
        todo = pending(store, before, work.settings.tables, work.upto_sequence)
        if not todo.batches:
            return Done(before, 0, {})
        before = follow_settings(within, work.settings, before)
        memories = open_memories(within, work.settings, before, todo)
        tables = _Tables(work, bench, within, before, todo, dict(refused), memories)
        changes = tables.apply()
        bookkeeping.write_ledger(within, todo.advanced(before), work.clock.now())
        return Done(read_ledger(within.rows), len(todo.batches), changes)


@dataclass(frozen=True)
class _Tables:
    """The tables of one attempt; `refused` grows while they are planned."""

    work: Work
    bench: Workbench
    within: Transaction
    before: Ledger
    todo: Pending
    refused: dict[TableName, WarehouseError]
    memories: Memories
    identities: dict[TableName, CatalogTable | None] = field(default_factory=dict)

    def apply(self) -> dict[TableName, Changes]:
        """Applies every table's window and records it; the refused ones are recorded only."""
        planned = self._plans()
        # Those that stood still are the likeliest to be refused again: before much was done.
        order = sorted(planned, key=lambda t: (not self._stands_still(t), t))
        changes: dict[TableName, Changes] = {}
        with ThreadPoolExecutor(1) as verifying:
            verified = {t: verifying.submit(self._verify, self.todo.windows[t]) for t in order}
            try:
                for number, table in enumerate(order):
                    self.work.progress("apply", number, len(order))
                    verified[table].result()
                    changes[table] = self._apply(table, *planned[table])
            except BaseException:
                verifying.shutdown(wait=False, cancel_futures=True)
                raise
        self.memories.finish(changes, self.refused, self._now)
        self.work.progress("apply", len(order), len(order))
        for table, cause in self.refused.items():
            bookkeeping.write_table(self.within, self._refusal(table, cause), self._now)
        for table, known in self.before.tables.items():
            identity = self.identities.get(table)
            if identity is not None and table not in changes and identity != known.identity:
                bookkeeping.write_identity(self.within, table, identity)
        return changes

    def _identify(self) -> None:
        """Finds how the catalog has each table now; refuses those that are not the same."""
        for table in self.work.settings.tables:
            window, known = self.todo.windows.get(table), self.before.tables.get(table)
            try:
                found = follow_identity(table, known, window, self.todo.found)
                if found is not None and window is None and known is None:
                    raise quarantined(table, NEVER_COPIED)
                if found is not None:
                    require_no_hole(found, self._listed(table), table, self.todo.batches[-1])
            except REFUSALS as cause:
                self.refused.setdefault(table, cause)
            else:
                self.identities[table] = found

    def _listed(self, table: TableName) -> set[str]:
        rules = self.work.settings.tables[table].columns
        return {column for column, rule in rules.items() if rule != "drop"}

    def _plans(self) -> dict[TableName, tuple[Shape, Plan, Plan | None]]:
        self._identify()
        schema = self.work.settings.replica.warehouse.staging_schema
        held = ddl.held_tables(self.within, schema)
        self.memories.follow_settings(held, self.refused)
        planned: dict[TableName, tuple[Shape, Plan, Plan | None]] = {}
        for table, window in self.todo.windows.items():
            if table in self.refused:
                continue
            target = TableName(schema, self.work.settings.staging_name(table))
            known = self.before.tables.get(table)
            try:
                _require_complete(window, known)
                shape = shape_of(window)
                copied = window.copied_at is not None
                plan = plan_table(
                    self.within,
                    target,
                    shape,
                    held.get(target.name),
                    known=known,
                    copied=copied,
                )
                past = self.memories.plan(shape, copied=copied)
            except REFUSALS as cause:
                self.refused[table] = cause
            else:
                planned[table] = shape, plan, past
        return planned

    def _apply(self, table: TableName, shape: Shape, plan: Plan, past: Plan | None) -> Changes:
        window = self.todo.windows[table]
        try:
            events, changes = self.memories.merge(self.bench, window, shape, plan, past)
            if plan.create:
                ddl.finish_table(self.within, plan.target, shape)
        except REFUSALS as cause:
            raise CannotFollow(table, cause) from None
        except StatementRefused as cause:
            if cause.is_about_the_table:
                raise CannotFollow(table, cause) from None
            raise
        bookkeeping.write_table(self.within, self._applied(events, plan, changes), self._now)
        return changes

    def _applied(self, events: Events, plan: Plan, changes: Changes) -> AppliedTable:
        window = events.window
        known = self.before.tables.get(window.table)
        after = self.todo.advanced(self.before)
        rows_before = known.rows if known else None
        begun = 0 if plan.create or known is None else known.rows
        last = events.bench.rows(compose("select max(lsn), max(committed_at) from events"))[0]
        return AppliedTable(
            table=window.table,
            staging_name=plan.target.name,
            last_batch=after.last_batch,
            position=after.position,
            columns=remembered(window, None if plan.create else known),
            copy_position=window.copied_at or (known.copy_position if known else None),
            last_lsn=None if last[0] is None else Lsn(last[0]),
            last_commit_at=last[1],
            rows=begun + changes.inserted - changes.deleted,
            rows_before=rows_before,
            inserted=changes.inserted,
            updated=changes.updated,
            deleted=changes.deleted,
            identity=self.identities.get(window.table),
        )

    def _refusal(self, table: TableName, cause: WarehouseError) -> AppliedTable:
        name = self.work.settings.staging_name(table)
        new = AppliedTable(table, name, 0, Lsn(0))
        known = self.before.tables.get(table, new)
        return replace(known, state=State.QUARANTINED, reason=cause.what)

    def _stands_still(self, table: TableName) -> bool:
        known = self.before.tables.get(table)
        return known is not None and known.state is State.QUARANTINED

    def _verify(self, window: Window) -> None:
        for file in window.files:
            verify_file(self.bench.store, file)

    @property
    def _now(self) -> datetime:
        return self.work.clock.now()


def _require_complete(window: Window, known: AppliedTable | None) -> None:
    if known is None and window.copied_at is None:
        raise quarantined(window.table, NEVER_COPIED)
    if not window.complete:
        raise quarantined(
            window.table, "landing does not hold all of its changes since it was last applied"
        )
