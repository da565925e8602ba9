"""Advance: tables brought forward inside one transaction, each to the end of its window.

Here: which tables stand still, their order, and what the ledger is to be told of each. Not here:
the transaction and the ledger (attempt.py, side.py), what a table's events mean (compact.py,
lineage.py), how rows get in (memories.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from analytics_replica.domain.batches import CatalogTable
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.landing.manifest import verify_file
from analytics_replica.postgres.identifiers import compose
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ddl
from analytics_replica.staging.compact import Events
from analytics_replica.staging.followed_definitions import follow_definitions
from analytics_replica.staging.identity import follow_identity, require_no_hole
from analytics_replica.staging.ledger import AppliedTable, Ledger, State
from analytics_replica.staging.memories import Memories, open_memories
from analytics_replica.staging.merge import Changes
from analytics_replica.staging.plans import NEVER_COPIED, Plan, plan_table
from analytics_replica.staging.quarantine import REFUSALS, quarantined
from analytics_replica.staging.shapes import Shape, remembered, shape_of
from analytics_replica.staging.type_changes import StagingTypes
from analytics_replica.staging.warehouse import StatementRefused, Transaction, transaction
from analytics_replica.staging.windows import Pending, Window
from analytics_replica.staging.workbench import Workbench


class CannotFollow(Exception):
    """One table cannot follow, found after rows were touched: roll back, go on without it."""

    def __init__(self, table: TableName, cause: WarehouseError) -> None:
        super().__init__(str(table))
        self.table = table
        self.cause = cause


@dataclass(frozen=True)
class Advanced:
    """What was done: rows by table, and what the ledger must say of tables now.

    `tables` are those with changes and those that stand still; `identities` of others, where
    production's catalog has something new to say.
    """

    changes: Mapping[TableName, Changes]
    tables: Mapping[TableName, AppliedTable]
    identities: Mapping[TableName, CatalogTable]


@dataclass(frozen=True)
class Advance:
    """The tables `wanted`, of which `before` is known, in `schema`; `refused` grows meanwhile."""

    settings: Settings
    progress: Progress
    schema: str
    bench: Workbench
    within: Transaction
    before: Ledger
    todo: Pending
    types: StagingTypes
    wanted: frozenset[TableName]
    now: datetime
    refused: dict[TableName, WarehouseError]
    identities: dict[TableName, CatalogTable | None] = field(default_factory=dict)

    def made(self) -> Advanced:
        """Applies every table's window. CannotFollow if one must be refused after all."""
        memories = open_memories(
            self.within, self.settings, self.schema, self.before, self.todo, self.wanted
        )
        planned = self._plans(memories)
        dsn = self.settings.secrets.get(self.settings.replica.warehouse.dsn)
        self.types.prepare(self.within, lambda: transaction(dsn))
        # Those that stood still are the likeliest to be refused again: before much was done.
        order = sorted(planned, key=lambda t: (not self._stands_still(t), t))
        changes: dict[TableName, Changes] = {}
        tables: dict[TableName, AppliedTable] = {}
        with ThreadPoolExecutor(1) as verifying:
            verified = {t: verifying.submit(self._verify, self.todo.windows[t]) for t in order}
            try:
                for number, table in enumerate(order):
                    self.progress("apply", number, len(order))
                    verified[table].result()
                    changes[table], tables[table] = self._apply(memories, table, *planned[table])
            except BaseException:
                verifying.shutdown(wait=False, cancel_futures=True)
                raise
        self.progress("apply", len(order), len(order))
        memories.finish(changes, self.refused, self.now)
        newest = self.types.newest
        follow_definitions(self.within, self.settings, self.schema, newest, self._following())
        tables |= {table: self._refusal(table, cause) for table, cause in self.refused.items()}
        identities = {
            table: identity
            for table, known in self.before.tables.items()
            if (identity := self.identities.get(table)) is not None
            and table not in changes
            and identity != known.identity
        }
        return Advanced(changes, tables, identities)

    def _identify(self) -> None:
        """Finds how the catalog has each table now; refuses those that are not the same."""
        for table in sorted(self.wanted):
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
        rules = self.settings.tables[table].columns
        return {column for column, rule in rules.items() if rule != "drop"}

    def _plans(self, memories: Memories) -> dict[TableName, tuple[Shape, Plan, Plan | None]]:
        self._identify()
        held = ddl.held_tables(self.within, self.schema)
        memories.follow_settings(held, self.refused)
        planned: dict[TableName, tuple[Shape, Plan, Plan | None]] = {}
        for table, window in self.todo.windows.items():
            if table in self.refused:
                continue
            target = TableName(self.schema, self.settings.staging_name(table))
            known = self.before.tables.get(table)
            try:
                _require_complete(window, known)
                typed = self.types.user.typed(window, known)
                shape = self.types.shaped(self.bench, typed, shape_of(typed))
                copied = window.copied_at is not None
                plan = plan_table(
                    self.within, target, shape, held.get(target.name), known=known, copied=copied
                )
                past = memories.plan(shape, copied=copied)
            except REFUSALS as cause:
                self.refused[table] = cause
            else:
                planned[table] = shape, plan, past
        return planned

    def _apply(
        self, memories: Memories, table: TableName, shape: Shape, plan: Plan, past: Plan | None
    ) -> tuple[Changes, AppliedTable]:
        known = self.before.tables.get(table)
        window = self.types.user.typed(self.todo.windows[table], known)
        try:
            events, changes = memories.merge(self.bench, window, shape, plan, past)
            if plan.create:
                ddl.finish_table(self.within, plan.target, shape)
        except REFUSALS as cause:
            raise CannotFollow(table, cause) from None
        except StatementRefused as cause:
            if cause.is_about_the_table:
                raise CannotFollow(table, cause) from None
            raise
        return changes, self._applied(events, plan, changes)

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

    def _following(self) -> set[TableName]:
        """The wanted tables that follow production after this."""
        known = self.before.tables
        still = {t for t, k in known.items() if k.state is State.OK and t in self.wanted}
        return (still | self.todo.windows.keys()) - self.refused.keys()

    def _refusal(self, table: TableName, cause: WarehouseError) -> AppliedTable:
        name = self.settings.staging_name(table)
        new = AppliedTable(table, name, 0, Lsn(0))
        known = self.before.tables.get(table, new)
        return replace(known, state=State.QUARANTINED, reason=cause.what)

    def _stands_still(self, table: TableName) -> bool:
        known = self.before.tables.get(table)
        return known is not None and known.state is State.QUARANTINED

    def _verify(self, window: Window) -> None:
        for file in window.files:
            verify_file(self.bench.store, file)


def _require_complete(window: Window, known: AppliedTable | None) -> None:
    if known is None and window.copied_at is None:
        raise quarantined(window.table, NEVER_COPIED)
    if not window.complete:
        raise quarantined(
            window.table, "landing does not hold all of its changes since it was last applied"
        )
