"""Histories: `history.<table>` has one row for each version of each row, where it is asked for.

Here: which tables have one, making it, and keeping it at staging's position. Not here: the table
itself (history_tables.py), beginning and ending versions (versions.py).

It changes inside the apply's transaction and needs nothing but landing's events: a history that
landing still reaches back to is told again, a version that is older is never touched. So a rebuild
of staging takes a history back to where landing begins, and brings it to where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from analytics_replica.domain.batches import LSN, BatchKind, Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ddl
from analytics_replica.staging.boundaries import make_lived
from analytics_replica.staging.compact import open_events
from analytics_replica.staging.ddl import HeldTable
from analytics_replica.staging.history_tables import (
    Followed,
    create_history,
    finish_history,
    follow_staging,
)
from analytics_replica.staging.ledger import Ledger
from analytics_replica.staging.plans import Plan, carry_out, follow, removable_views
from analytics_replica.staging.quarantine import REFUSALS, quarantined
from analytics_replica.staging.remnants import forget_before, remove_versions
from analytics_replica.staging.shapes import Shape
from analytics_replica.staging.versions import (
    ENDED_LSN,
    GONE,
    VALID_FROM,
    begin_all,
    bring,
    newest,
    rewind,
)
from analytics_replica.staging.warehouse import Transaction
from analytics_replica.staging.windows import Window
from analytics_replica.staging.workbench import Workbench

_LEDGER: Final = """
create table if not exists ops.history (
    table_schema text, table_name text, last_batch bigint not null,
    primary key (table_schema, table_name)
)
"""

_MARK: Final = """
insert into ops.history values ($1, $2, $3)
on conflict (table_schema, table_name) do update set last_batch = excluded.last_batch
"""

_AWAY: Final = (
    "Rename that table (it stays as it is), then apply again: a new history begins with staging."
)


@dataclass(frozen=True)
class Histories:
    """The histories that one apply keeps; `contained` is the batch that each has come to."""

    within: Transaction
    settings: Settings
    before: Ledger
    held: Mapping[str, HeldTable]
    contained: Mapping[TableName, int]

    def plan(self, source: TableName, shape: Shape, *, copied: bool) -> Plan:
        """What must be done so that the table's history can hold the shape. Changes nothing.

        A column that went stays until the table is copied, as in staging: afterwards nobody knows
        any more how it was masked. TableQuarantined if the history cannot follow.
        """
        target = self._target(source)
        held = self.held.get(target.name)
        if held is None:
            return Plan(target, create=True)
        if not {VALID_FROM, ENDED_LSN, GONE} <= held.columns.keys():
            raise quarantined(source, f"there is already a {target} that is not ours", _AWAY)
        known = self.before.tables.get(source)
        gone = [c.name for c in known.columns if c.name not in held.columns] if known else []
        if gone:
            raise quarantined(source, f"somebody dropped {', '.join(gone)} from {target}", _AWAY)
        key = tuple(column for column in held.key if column != LSN)
        try:
            plan = follow(target, shape, replace(held, key=key))
        except REFUSALS as cause:
            raise _outgrown(source, target, cause) from None
        if not (plan.widen or (copied and plan.left_over)):
            return plan
        return replace(plan, drop_views=removable_views(self.within, target, source))

    def bring(
        self,
        bench: Workbench,
        window: Window,
        shape: Shape,
        plan: Plan,
        *,
        staging: TableName,
        copied_at: datetime | None,
    ) -> None:
        """Brings the table's history to the state after the window; staging is at its beginning.

        `copied_at` is the time that goes with the window's copy, if it begins with one.
        """
        columns = [c.name for c in shape.columns]
        if plan.create:
            create_history(self.within, plan.target, staging, columns)
        else:
            carry_out(self.within, plan, shape)
        if window.copied_at is not None:
            ddl.drop_columns(self.within, plan.target, plan.left_over)
            plan = replace(plan, left_over=())
        events = open_events(bench, window, shape, truncated=True)
        anew = False
        if window.copied_at is not None:
            anew = plan.create or not rewind(self.within, plan.target, window.copied_at)
        elif self._is_behind(window.table):
            followed = self._followed(plan.target, staging, columns, window.table)
            follow_staging(self.within, followed, shape.key, new=plan.create)
        if anew and window.inserts_only:
            begin_all(self.within, events, plan.target)
        else:
            if copied_at is not None and not anew:
                copied_at = max(copied_at, newest(self.within, plan.target) or copied_at)
            lived = make_lived(events, copied_at)
            bring(self.within, events, plan.target, plan.left_over, lived, anew=anew)
        if plan.create:
            finish_history(self.within, plan.target, shape.key)

    def settle(self, still: Collection[TableName]) -> None:
        """Makes the histories of these tables, which have no changes, where there are none yet."""
        staging = self.settings.replica.warehouse.staging_schema
        present: Mapping[str, HeldTable] | None = None
        for source in self._wanted():
            known = self.before.tables.get(source)
            if source not in still or known is None:
                continue
            if not self._is_behind(source):
                continue
            present = present or ddl.held_tables(self.within, staging)
            target, held = self._target(source), present.get(known.staging_name)
            if held is None or not held.key:
                continue  # the table's next changes say what is wrong
            columns = [column.name for column in known.columns]
            new = target.name not in self.held
            at = TableName(staging, known.staging_name)
            if new:
                create_history(self.within, target, at, columns)
            followed = self._followed(target, at, columns, source)
            follow_staging(self.within, followed, held.key, new=new)
            if new:
                finish_history(self.within, target, held.key)

    def finish(self, followed: Collection[TableName], batch: int, now: datetime) -> None:
        """Records that the histories of these tables contain this batch; removes remnants."""
        keys: Mapping[str, HeldTable] | None = None
        for source in self._wanted():
            if source not in followed:
                continue
            target = self._target(source)
            keys = keys or ddl.held_tables(self.within, target.schema)
            if target.name not in keys:
                continue
            key = [column for column in keys[target.name].key if column != LSN]
            remove_versions(self.within, target, key, forget_before(self.settings, source, now))
            self.within.execute(_MARK, source.schema, source.name, batch)

    def _wanted(self) -> list[TableName]:
        return sorted(t for t, rules in self.settings.tables.items() if rules.history)

    def _target(self, source: TableName) -> TableName:
        schema = self.settings.replica.warehouse.history_schema
        return TableName(schema, self.settings.staging_name(source))

    def _is_behind(self, source: TableName) -> bool:
        """True if staging changed without this history: it is new, or was switched off."""
        known = self.before.tables[source]
        return (
            self._target(source).name not in self.held
            or self.contained.get(source) != known.last_batch
        )

    def _followed(
        self, target: TableName, staging: TableName, columns: Sequence[str], source: TableName
    ) -> Followed:
        known = self.before.tables[source]
        at = known.last_commit_at
        if known.position == self.before.position:
            at = self.before.last_commit_at
        keeps = self.settings.tables[source].deleted == "keep"
        return Followed(target, staging, columns, keeps, known.position, at)


def without_histories(settings: Settings) -> Settings:
    """The same settings as if no table had a history."""
    tables = {
        table: rules.model_copy(update={"history": False})
        for table, rules in settings.tables.items()
    }
    return replace(settings, tables=tables)


def open_histories(within: Transaction, settings: Settings, before: Ledger) -> Histories:
    """The histories of this apply. Asks and makes nothing if no table has one."""
    if not any(rules.history for rules in settings.tables.values()):
        return Histories(within, settings, before, {}, {})
    schema = settings.replica.warehouse.history_schema
    ddl.ensure_schema(within, schema)
    within.execute(_LEDGER)
    rows: list[tuple[Any, ...]] = within.rows("select * from ops.history")
    contained = {TableName(row[0], row[1]): row[2] for row in rows}
    return Histories(within, settings, before, ddl.held_tables(within, schema), contained)


def copy_moment(copied_at: Lsn, found: Sequence[Manifest], before: Ledger) -> datetime:
    """When a copy from this position was true: the last commit before it that we know of.

    Nobody tells when a row changed that only a copy shows, so it is said to have changed then.
    """
    known = [m.last_commit_at for m in found if m.to_lsn <= copied_at]
    if before.position <= copied_at:
        known.append(before.last_commit_at)
    captured = min(m.captured_at for m in found if _is_copy(m, copied_at))
    return max((at for at in known if at is not None), default=captured)


def _is_copy(manifest: Manifest, copied_at: Lsn) -> bool:
    return manifest.kind is BatchKind.COPY and manifest.to_lsn == copied_at


def _outgrown(source: TableName, target: TableName, cause: WarehouseError) -> WarehouseError:
    return quarantined(source, f"{target} cannot follow it: {cause.what}", _AWAY)
