"""Rebuild: staging from landing alone, beside it; compared with it, and swapped in if wanted.

Here: the order, and what a rebuild reports. Not here: the side schema (side.py), the comparison
(compare.py), the swap (swap.py).

Applies and dbt go on meanwhile. The long part touches the side schema alone; each comparison reads
one snapshot, for which both sides are at the same position; only catching up with staging, if it
ran away, and the swap hold the apply's lock. Folds wait: they would remove what is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.points import Reached, unheard
from analytics_replica.postgres.connect import Connection, advisory_lock, connection
from analytics_replica.postgres.identifiers import MAX_IDENTIFIER_BYTES
from analytics_replica.settings.load import Settings
from analytics_replica.staging import bookkeeping, ddl, ledger
from analytics_replica.staging.compare import Difference, compare
from analytics_replica.staging.fold import APPLY, REBUILD
from analytics_replica.staging.ledger import Ledger, State, read_ledger
from analytics_replica.staging.plans import EDITIONS
from analytics_replica.staging.side import CannotRebuild, Side, drop_side
from analytics_replica.staging.swap import swap, take_over
from analytics_replica.staging.upto import Upto, contained, upto
from analytics_replica.staging.warehouse import Transaction, transaction

PATIENCE: Final = timedelta(minutes=10)
"""How long a rebuild waits for an apply that runs when it needs its lock."""

_SUFFIX: Final = "_rebuilt"


@dataclass(frozen=True)
class Asked:
    """What a rebuild is asked for. No `tables`: all. `into`: default `<staging>_rebuilt`.

    With `as_of` (a position or a time) the tables are as they were then, and stay beside staging.
    """

    tables: frozenset[TableName] = frozenset()
    as_of: Lsn | datetime | None = None
    into: str | None = None
    swap: bool = True
    wait: timedelta = PATIENCE


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild made: the tables as of `position`, in the schema `side` or, swapped, staging.

    `tables` that were made, with their rows; `quarantined` the others, with the reason.
    `differences` from staging, each at the position at which it was compared; `not_compared` says
    why the others could not be. `views_dropped` are for dbt to make again.
    """

    position: Lsn
    last_batch: int
    side: str
    swapped: bool
    tables: Mapping[TableName, int]
    quarantined: Mapping[TableName, str]
    differences: Mapping[TableName, Difference]
    not_compared: Mapping[TableName, str]
    views_dropped: tuple[TableName, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        """True if every table could be made and compared, and none differs from staging."""
        found = all(difference.equal for difference in self.differences.values())
        return found and not self.quarantined and not self.not_compared


def rebuild(
    settings: Settings,
    clock: Clock,
    *,
    asked: Asked | None = None,
    progress: Progress = SILENT,
    reached: Reached = unheard,
) -> RebuildReport:
    """Makes staging again from what landing holds, compares, and swaps it in (the default).

    A kill at any point leaves staging as it was, or wholly swapped; the next rebuild cleans up.
    AlreadyRunning while another rebuild or a fold runs; NotRetained if landing begins later than
    `as_of`; CannotRebuild if staging is of several instants or the side schema is somebody's;
    TableQuarantined, with staging as it was, if a table's readers do not survive a swap.
    `reached` hears "table built", "followed", "compared", "before swap" and "swapped".
    """
    asked = asked or Asked()
    _require_possible(settings, asked)
    dsn = settings.secrets.get(settings.replica.warehouse.dsn)
    schema = asked.into or settings.replica.warehouse.staging_schema + _SUFFIX
    tables = asked.tables or frozenset(settings.tables)
    with advisory_lock(dsn, REBUILD):
        side = Side(settings, schema, tables, clock.now(), progress, reached)
        return _Rebuild(settings, clock, asked, side).made()


@dataclass
class _Rebuild:
    settings: Settings
    clock: Clock
    asked: Asked
    side: Side
    differences: dict[TableName, Difference] = field(default_factory=dict)
    not_compared: dict[TableName, str] = field(default_factory=dict)
    views_dropped: tuple[TableName, ...] = ()

    def made(self) -> RebuildReport:
        began = time.perf_counter()
        target = self._target()
        self.side.begin()
        self.side.build(target)
        self._compare()
        if self.asked.swap:
            self._swap()
        else:
            self.side.finish(f"production as of {self.side.ledger.position}, masked")
        return RebuildReport(
            self.side.ledger.position,
            self.side.ledger.last_batch,
            self.side.schema,
            self.asked.swap,
            {table: known.rows for table, known in self.side.complete.items()},
            self.side.refused,
            self.differences,
            self.not_compared,
            self.views_dropped,
            time.perf_counter() - began,
        )

    def _target(self) -> Upto:
        store = Store.of(self.settings)
        if self.asked.as_of is not None:
            return upto(store, self.asked.as_of)
        with connection(self.side.dsn, application="analytics-replica rebuild") as opened:
            known = ledger.read(opened)
        _require_one_instant(known)
        if known.last_batch:
            return contained(store, known)
        newest = last_manifest(store)
        if newest is None:
            raise CannotRebuild(
                what="Nothing was landed yet.",
                why="Staging is rebuilt from landed batches.",
                next="Run `analytics-replica capture` first.",
            )
        return Upto(newest[0].sequence)

    def _compare(self) -> None:
        schema = self.settings.replica.warehouse.staging_schema
        for table in sorted(self.side.complete):
            with self._one_instant() as (opened, known):
                applied = known.tables.get(table)
                why = self._incomparable(known, table)
                if why or applied is None:
                    self.not_compared[table] = why
                else:
                    held = TableName(schema, applied.staging_name)
                    made = self.side.complete[table].staging_name
                    found = compare(opened, held, TableName(self.side.schema, made))
                    self.differences[table] = found
            self.side.reached("compared")

    def _incomparable(self, known: Ledger, table: TableName) -> str:
        applied = known.tables.get(table)
        if applied is None or not known.last_batch:
            return "staging does not have it"
        if applied.state is not State.OK:
            return f"it stands still in staging at {applied.position}: {applied.reason}"
        if contained(self.side.store, known) != self.side.contains:
            return f"staging is at {known.position}"
        if table in {ahead.table for ahead in known.ahead}:
            return f"it is at {applied.position} in staging, further than the others"
        return ""

    @contextmanager
    def _one_instant(self) -> Iterator[tuple[Connection, Ledger]]:
        """A snapshot of the warehouse in which staging is where the side schema is."""
        with self._snapshot() as (opened, known):
            if self.asked.as_of is not None or self._level(known):
                yield opened, known
                return
        # Staging went on. Follow it while it is free to go on, then for the rest while it is not.
        self.side.follow(contained(self.side.store, known))
        with ExitStack() as held:
            with advisory_lock(self.side.dsn, APPLY, self.asked.wait):
                self.side.follow(self._stands())
                opened, known = held.enter_context(self._snapshot())
            yield opened, known

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Connection, Ledger]]:
        with connection(self.side.dsn, application="analytics-replica rebuild") as opened:
            opened.set_session(isolation_level="REPEATABLE READ")
            with opened.cursor() as cursor:
                cursor.execute("set local work_mem = '64MB'")
            yield opened, ledger.read(opened)

    def _level(self, known: Ledger) -> bool:
        stands = contained(self.side.store, known)
        return not known.last_batch or stands.reach <= self.side.contains.reach

    def _stands(self) -> Upto:
        with connection(self.side.dsn, application="analytics-replica rebuild") as opened:
            return contained(self.side.store, ledger.read(opened))

    def _swap(self) -> None:
        side, schema = self.side, self.settings.replica.warehouse.staging_schema
        stands = self._stands()
        if stands.sequence:
            side.follow(stands)
        with advisory_lock(side.dsn, APPLY, self.asked.wait):
            stands = self._stands()
            if stands.sequence:
                side.follow(stands)
            side.reached("before swap")
            with transaction(side.dsn) as within:
                bookkeeping.ensure_ledger(within)
                ddl.ensure_schema(within, schema)
                known, now = read_ledger(within.rows), self.clock.now()
                _require_one_instant(known)
                tables = list(side.complete.values())
                self.views_dropped = swap(within, schema, side.schema, tables)
                take_over(within, tables, known.tables, now)
                if not known.last_batch:
                    self._begin_ledger(within, now)
                drop_side(within, side.schema)
        side.reached("swapped")

    def _begin_ledger(self, within: Transaction, now: datetime) -> None:
        """Staging was not there at all: the tables that landing cannot give stand still, too."""
        for table in self.side.refused:
            bookkeeping.write_table(within, self.side.ledger.tables[table], now)
        bookkeeping.write_ledger(within, self.side.ledger, now)


def _require_possible(settings: Settings, asked: Asked) -> None:
    staging = settings.replica.warehouse.staging_schema
    schema = asked.into or staging + _SUFFIX
    if asked.swap and asked.as_of is not None:
        raise CannotRebuild(
            what="A state of the past is not swapped in.",
            why="Staging would go back, and gold with it, while landing and the readers' dates go "
            "on.",
            next="Leave out --swap: the tables stay in a schema of their own.",
        )
    reserved = {staging, *EDITIONS, "analytics", "ops", "serving", "public"}
    if schema in reserved or len(schema.encode()) > MAX_IDENTIFIER_BYTES:
        raise CannotRebuild(
            what=f"{schema} cannot be the side schema.",
            why="It is dropped when the next rebuild begins, so it must be a schema of its own, "
            f"with a name of at most {MAX_IDENTIFIER_BYTES} bytes.",
            next="Name another one with `--into`.",
        )
    unknown = sorted(map(str, asked.tables - settings.tables.keys()))
    if unknown:
        raise CannotRebuild(
            what=f"replica.yaml has no table {', '.join(unknown)}.",
            why="Only what it lists is in landing.",
            next="Correct the name: schema.table as production has it.",
        )


def _require_one_instant(known: Ledger) -> None:
    if known.ahead:
        raise CannotRebuild(
            what="Staging is of several instants: "
            f"{', '.join(str(table.table) for table in known.ahead)} was applied further.",
            why="There is no one position at which it could be compared or replaced.",
            next="Run `analytics-replica staging apply` first, which brings all tables together.",
        )
