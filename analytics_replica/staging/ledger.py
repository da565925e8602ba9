"""The ledger: what staging contains, in the warehouse beside it, written in the same transaction.

Here: what it says, and reading it. Not here: its tables and writing them (bookkeeping.py).

`ops.ledger` has one row: the last applied batch and production's position that staging shows.
`ops.applied_tables` has one row for each table; a quarantined one keeps the batch and position
that it stands at, so a later apply can go on from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from analytics_replica.domain.batches import CatalogTable
from analytics_replica.domain.lsn import ZERO, Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection
from analytics_replica.staging.warehouse import Statement

Query = Callable[[Statement], Sequence[tuple[Any, ...]]]
"""Runs a statement without parameters and gives all of its rows."""


class State(StrEnum):
    """Whether a table follows production or stands still."""

    OK = "ok"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class AppliedColumn:
    """A column as it was last landed.

    `since` is the position from which it comes with this treatment, None if every row of staging
    has it so; `before` is the treatment that it had until then, None if it did not come; `was` is
    the type that it had until then, if that changed.
    """

    name: str
    staging_type: str
    treatment: str
    since: Lsn | None = None
    before: str | None = None
    was: str | None = None


@dataclass(frozen=True, slots=True)
class AppliedTable:
    """What staging contains of one table.

    `position`: every change that was committed before it is contained. `rows` is exact, counted
    along; `rows_before` is what it was before the last apply that touched the table, None if there
    was none. `inserted`, `updated`, `deleted` are of that apply. `identity` is the table as
    production's catalog last had it.
    """

    table: TableName
    staging_name: str
    last_batch: int
    position: Lsn
    columns: tuple[AppliedColumn, ...] = ()
    copy_position: Lsn | None = None
    last_lsn: Lsn | None = None
    last_commit_at: datetime | None = None
    rows: int = 0
    rows_before: int | None = None
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    state: State = State.OK
    reason: str | None = None
    identity: CatalogTable | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What staging contains. A new ledger has batch 0 and position 0/0."""

    last_batch: int = 0
    position: Lsn = ZERO
    last_commit_at: datetime | None = None
    system_identifier: str | None = None
    tables: Mapping[TableName, AppliedTable] = field(default_factory=dict)

    @property
    def ahead(self) -> tuple[AppliedTable, ...]:
        """Tables that were applied alone, further than all others: staging is of several instants.

        The next apply of all tables brings the others there.
        """
        return tuple(
            table
            for table in self.tables.values()
            if table.state is State.OK
            and (table.last_batch > self.last_batch or table.position > self.position)
        )


EXISTS: Final = "select to_regclass('ops.applied_tables') is not null"
"""Whether there is a ledger at all."""

_READ: Final = """
select last_batch, position::text, last_commit_at, system_identifier from ops.ledger
"""

_READ_TABLES: Final = """
select table_schema, table_name, staging_name, last_batch, position::text, columns::text,
       copy_position::text, last_lsn::text, last_commit_at, rows, rows_before, inserted, updated,
       deleted, state, reason,
       to_jsonb(t) ->> 'identity' -- NULL also where an older release made the ledger
from ops.applied_tables t
order by table_schema, table_name
"""


def read_ledger(query: Query) -> Ledger:
    """What the ledger says, seen through this query; a new one if there is none yet."""
    if not query(EXISTS)[0][0]:
        return Ledger()
    known = {table.table: table for table in map(_table, query(_READ_TABLES))}
    found = query(_READ)
    if not found:
        return Ledger(tables=known)
    last_batch, position_, last_commit_at, system_identifier = found[0]
    return Ledger(last_batch, Lsn.parse(position_), last_commit_at, system_identifier, known)


def read(conn: Connection) -> Ledger:
    """What the ledger says; a new one if there is none yet."""

    def query(statement: Statement) -> list[tuple[Any, ...]]:
        with conn.cursor() as cursor:
            cursor.execute(str(statement))
            return list(cursor.fetchall())

    return read_ledger(query)


def position(conn: Connection) -> Lsn | None:
    """Production's position that staging shows; None before the first apply."""
    ledger = read(conn)
    return ledger.position if ledger.last_batch else None


def last_batch(conn: Connection) -> int:
    """The sequence of the last applied batch; 0 before the first apply."""
    return read(conn).last_batch


def tables(conn: Connection) -> Mapping[TableName, AppliedTable]:
    """What staging contains of each table."""
    return read(conn).tables


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)


def _table(row: tuple[Any, ...]) -> AppliedTable:
    schema, name, staging_name, batch, at, columns, copied, last, *figures, state, reason, who = row
    last_commit_at, rows, rows_before, inserted, updated, deleted = figures
    return AppliedTable(
        table=TableName(schema, name),
        staging_name=staging_name,
        last_batch=batch,
        position=Lsn.parse(at),
        columns=tuple(
            AppliedColumn(**{**column, "since": _lsn(column["since"])})
            for column in json.loads(columns)
        ),
        copy_position=_lsn(copied),
        last_lsn=_lsn(last),
        last_commit_at=last_commit_at,
        rows=rows,
        rows_before=rows_before,
        inserted=inserted,
        updated=updated,
        deleted=deleted,
        state=State(state),
        reason=reason,
        identity=None if who is None else CatalogTable.of_body(json.loads(who)),
    )
