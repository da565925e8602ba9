"""Verdicts: staging against a physical copy of production at a known position.

Here: opening the copy, what lies between its position and staging's, one verdict for each table.
Not here: reading and masking the copy's rows (copied.py), the passes (comparison.py).

The copy stands at S, staging at L. Keys that were touched between the two are left out on both
sides; of a table without a key the rows that came and went between them are added or taken away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import Table, TableName
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import AlreadyRunning, CopyFailed, LandingBroken, SlotBusy
from analytics_replica.landing.capture import capture
from analytics_replica.landing.first_copy import physical_copy, sweep_base_backup
from analytics_replica.landing.landed_keys import as_landed
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.source.physical_copy import PhysicalCopy, inspect, prove, standing_still
from analytics_replica.source.pieces import Piece, pieces_of
from analytics_replica.source.replication import SourceConnection
from analytics_replica.staging.reconciliation.between import Between, between, landed_upto
from analytics_replica.staging.reconciliation.comparison import Compared
from analytics_replica.staging.reconciliation.copied import CopiedTable
from analytics_replica.staging.reconciliation.held import Held, holding
from analytics_replica.staging.reconciliation.judgement import UNTOLD, Asked
from analytics_replica.staging.reconciliation.lookup3 import Hashes
from analytics_replica.staging.reconciliation.reading import Reader, reader
from analytics_replica.staging.reconciliation.sums import Plan, Rows, Sums
from analytics_replica.staging.workbench import workbench_of

COPY: Final = "copy"


def against_copy(
    settings: Settings, clock: Clock, tables: Collection[TableName], progress: Progress = SILENT
) -> list[Verdict]:
    """One verdict for each table, in their order, against one physical copy.

    The copy is the one that replica.yaml names, else a base backup, which is gone afterwards; then
    what was committed up to its position is captured, as every capture does. CANNOT_TELL for a
    table that cannot be brought to one position; CopyFailed if there is no usable copy.
    """
    with _opened(settings, clock, progress) as copy:
        known = _Known.of(settings, copy)
        return [_judged(known, table, progress) for table in tables]


@contextlib.contextmanager
def _opened(settings: Settings, clock: Clock, progress: Progress) -> Iterator[PhysicalCopy]:
    source, store = settings.replica.source, Store.of(settings)
    newest = last_manifest(store)
    if newest is None:
        raise LandingBroken(
            what="Landing is empty, so staging has no position that a copy could be compared with.",
            why="Nothing was compared.",
            next="Run `analytics-replica capture` and `analytics-replica run`.",
        )
    if source.physical_copy is not None:
        copy = inspect(settings.secrets.get(source.physical_copy))
        prove(copy, newest[0].source, copy.position)
        yield copy
        return
    sweep_base_backup(settings)
    with SourceConnection(settings.secrets.get(source.dsn)) as production:
        major = production.read_state(source.slot, source.publication).server_version // 10_000
    with physical_copy(settings, major, progress, f"{source.slot[:57]}_copy") as copy:
        prove(copy, newest[0].source, copy.position)
        landed = landed_upto(store)
        if landed is None or landed < copy.position:
            # A capture that runs lands the same; whether it came far enough is judged by table.
            with contextlib.suppress(AlreadyRunning, SlotBusy):
                capture(settings, clock, progress=progress)
        yield copy


@dataclass(frozen=True)
class _Known:
    """The copy and what all tables share."""

    settings: Settings
    copy: PhysicalCopy
    policy: Policy
    tables: dict[TableName, Table]
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, settings: Settings, copy: PhysicalCopy) -> _Known:
        store = Store.of(settings)
        policy = as_landed(store, Policy.from_settings(settings), masking_keys(settings))
        with standing_still(copy) as opened:
            found = read_tables(opened, set(policy.tables))
            pieces = pieces_of(opened, policy.tables)
        captured = {name: policy.captured(table) for name, table in found.items()}
        return cls(settings, copy, policy, captured, pieces)

    def table(self, held: Held) -> CopiedTable:
        """The copy's table, with the columns that staging has."""
        table = self.tables[held.source]
        there = {column.name for column in held.columns}
        published = set(self.policy.published(held.source)) & there
        columns = tuple(column for column in table.columns if column.name in published)
        table = replace(table, columns=columns)
        seal = TableSeal.of_stream(table, self.policy, masking_keys(self.settings))
        pieces = [piece for piece in self.pieces if piece.table == held.source]
        return CopiedTable(self.copy, table, seal, pieces, held.columns)


def _judged(known: _Known, table: TableName, progress: Progress) -> Verdict:
    asked = Asked.of(known.settings, table, COPY)
    figures = {"copy_lsn": str(known.copy.position)}
    try:
        with holding(asked.dsn, table, asked.target) as held:
            if (untold := asked.not_there(held)) is not None:
                return untold
            if table not in known.tables:
                return asked.cannot_tell("the physical copy has no such table", **figures)
            copied = known.table(held)
            if (reason := _differs(known, held, copied)) is not None:
                return asked.cannot_tell(reason, **figures)
            return _compared(asked, held, copied, progress)
    except (*UNTOLD, CopyFailed) as cause:
        return asked.failed(cause, **figures)


def _differs(known: _Known, held: Held, copied: CopiedTable) -> str | None:
    """Why values of the two cannot be compared; None if they can."""
    if held.source in known.policy.append_only:
        return "it is append-only: production may have deleted rows that staging keeps"
    copied_at = held.known.copy_position
    if copied_at is not None and copied_at > known.copy.position:
        return f"it was copied again at {copied_at}, after the copy's position"
    if {c.name for c in copied.table.key} != set(held.key):
        return "its key in the copy is another one than in staging"
    ledger = {column.name: column.treatment for column in held.known.columns}
    for landed in copied.seal.columns:
        treatment = ledger.get(landed.column.name)
        if treatment != landed.treatment:
            return (
                f"{landed.column.name} is in staging as {treatment}, and would be "
                f"{landed.treatment} now"
            )
    return None


def _compared(asked: Asked, held: Held, copied: CopiedTable, progress: Progress) -> Verdict:
    names = {landed.column.name for landed in copied.seal.columns}
    whole = held.plan
    plan = replace(whole, compared=tuple(c for c in whole.compared if c.name in names))
    if not plan.keyed:
        plan = replace(plan, naming=plan.compared)
    low, high = sorted((held.known.position, copied.copy.position))
    with workbench_of(asked.settings) as bench, reader(asked.dsn) as reads:
        passed = between(bench, held.source, held.columns, low, high)
        left_out = passed.names(Sums(plan, reads)) if plan.keyed else None
        compared = _sides(held, plan, copied, passed, reads, progress, left_out).compare()
    return asked.told(
        held,
        compared,
        copy_lsn=str(copied.copy.position),
        keys_left_out=0 if left_out is None else len(left_out),
    )


def _sides(
    held: Held,
    plan: Plan,
    copied: CopiedTable,
    passed: Between,
    reads: Reader,
    progress: Progress,
    left_out: Hashes | None,
) -> Compared:
    if left_out is not None:
        return Compared(held, plan, copied.rows, reads, progress, left_out)
    # What was committed after the copy is added to it; what it has before staging, taken away.
    sign = 1 if copied.copy.position < held.known.position else -1

    def brought_to_staging(take: Callable[[Rows], None]) -> None:
        copied.rows(take)
        passed.rows(sign, take)

    return Compared(held, plan, brought_to_staging, reads, progress)
