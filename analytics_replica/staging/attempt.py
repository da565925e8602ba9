"""One attempt at an apply: its transaction from the lock to the ledger.

Here: the order, and what an apply may be asked for. Not here: bringing tables forward (advance.py),
going on without a table that cannot follow (apply.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.landing.layout import Store
from analytics_replica.settings.load import Settings
from analytics_replica.staging import bookkeeping, ddl
from analytics_replica.staging.advance import Advance, Advanced
from analytics_replica.staging.ledger import AppliedTable, Ledger, State, read_ledger
from analytics_replica.staging.merge import Changes
from analytics_replica.staging.roster import follow_settings
from analytics_replica.staging.sequel import begins_anew
from analytics_replica.staging.type_changes import open_types
from analytics_replica.staging.upto import Upto, contained
from analytics_replica.staging.warehouse import Transaction, transaction
from analytics_replica.staging.windows import Pending, pending
from analytics_replica.staging.workbench import workbench_of


class CannotApply(WarehouseError):
    """Staging cannot be brought where it was asked to be; it is as it was."""


@dataclass(frozen=True)
class Work:
    """What an apply is asked to do. No `tables`: all. `wait`: for another that runs."""

    settings: Settings
    clock: Clock
    progress: Progress = SILENT
    upto: Upto | None = None
    tables: frozenset[TableName] = frozenset()
    wait: timedelta = timedelta()


@dataclass(frozen=True)
class Done:
    """What an attempt did, what the ledger says now, and where the tables are that it was about."""

    ledger: Ledger
    batches: int
    position: Lsn
    changes: Mapping[TableName, Changes] = field(default_factory=dict)


def attempt(work: Work, refused: Mapping[TableName, WarehouseError]) -> Done:
    """Applies what is pending, without the refused tables, which are quarantined.

    CannotFollow, with everything rolled back, if another table must be refused, too.
    """
    schema = work.settings.replica.warehouse.staging_schema
    dsn = work.settings.secrets.get(work.settings.replica.warehouse.dsn)
    with workbench_of(work.settings) as bench, transaction(dsn) as within:
        within.lock(work.wait)
        bookkeeping.ensure_ledger(within)
        ddl.ensure_schema(within, schema)
        before = read_ledger(within.rows)
        wanted = work.tables or frozenset(work.settings.tables)
        _require_ahead(bench.store, work.upto, before, wanted)
        todo = pending(bench.store, before, wanted, work.upto)
        if not todo.batches:
            return Done(before, 0, before.position)
        if work.tables:
            _require_no_beginning(todo)
        before = follow_settings(within, work.settings, before)
        advanced = Advance(
            work.settings,
            work.progress,
            schema,
            bench,
            within,
            before,
            todo,
            open_types(within, bench.store, todo.found, schema),
            wanted,
            work.clock.now(),
            dict(refused),
        ).made()
        _write(within, work, before, todo, advanced)
        after = read_ledger(within.rows)
        position = todo.advanced(before).position
        return Done(after, len(todo.batches), position, advanced.changes)


def _write(
    within: Transaction, work: Work, before: Ledger, todo: Pending, advanced: Advanced
) -> None:
    now, after = work.clock.now(), todo.advanced(before)
    for applied in advanced.tables.values():
        bookkeeping.write_table(within, applied, now)
    for table, identity in advanced.identities.items():
        bookkeeping.write_identity(within, table, identity)
    if not work.tables:
        bookkeeping.write_ledger(within, after, now)
        return
    # The others stay where the ledger is, and so does the ledger: staging is of several instants,
    # and the next apply of all tables takes each of them from where it stands.
    for table in work.tables - advanced.tables.keys():
        known = before.tables.get(table)
        if known is not None and known.state is State.OK and known.last_batch <= after.last_batch:
            still = replace(
                known,
                last_batch=after.last_batch,
                position=max(known.position, after.position),
                identity=advanced.identities.get(table, known.identity),
                rows_before=known.rows,
                inserted=0,
                updated=0,
                deleted=0,
            )
            bookkeeping.write_table(within, still, now)


def _require_ahead(
    store: Store, upto: Upto | None, ledger: Ledger, wanted: frozenset[TableName]
) -> None:
    if upto is None:
        return
    stand: dict[str, Ledger | AppliedTable] = {"staging": ledger}
    stand |= {str(table.table): table for table in ledger.ahead if table.table in wanted}
    for who, known in stand.items():
        if contained(store, known).reach > upto.reach:
            raise CannotApply(
                what=f"{who} stands at {known.position} already, later than what was asked for.",
                why="An apply only goes forward; what was applied cannot be taken back.",
                next="To see an earlier state, use `analytics-replica staging rebuild --as-of`, "
                "which makes it beside staging.",
            )


def _require_no_beginning(todo: Pending) -> None:
    if any(map(begins_anew, todo.batches)):
        raise CannotApply(
            what="A copy of all tables is pending, which single tables cannot take over.",
            why="It makes void what staging contains, so all tables must go over to it at once.",
            next="Apply all of them: `analytics-replica staging apply`.",
        )
