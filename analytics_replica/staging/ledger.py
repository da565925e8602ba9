"""The ledger: what staging contains, in the warehouse beside it, written in the same transaction.

Here: its tables, reading them, and writing what one apply did. Not here: the apply (apply.py).

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

from analytics_replica.domain.lsn import ZERO, Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection
from analytics_replica.staging.warehouse import Statement, Transaction

OPS: Final = "ops"

Query = Callable[[Statement], Sequence[tuple[Any, ...]]]
"""Runs a statement without parameters and gives all of its rows."""


class State(StrEnum):
    """Whether a table follows production or stands still."""

    OK = "ok"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class AppliedColumn:
    """A column as it was last landed.

    `since` is the position from which it comes with this treatment; None if every row of staging
    has it so.
    """

    name: str
    staging_type: str
    treatment: str
    since: Lsn | None = None


@dataclass(frozen=True, slots=True)
class AppliedTable:
    """What staging contains of one table.

    `position`: every change that was committed before it is contained. `rows` is exact, counted
    along; `rows_before` is what it was before the last apply that touched the table, None if there
    was none. `inserted`, `updated`, `deleted` are of that apply.
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


@dataclass(frozen=True, slots=True)
class Ledger:
    """What staging contains. A new ledger has batch 0 and position 0/0."""

    last_batch: int = 0
    position: Lsn = ZERO
    last_commit_at: datetime | None = None
    system_identifier: str | None = None
    tables: Mapping[TableName, AppliedTable] = field(default_factory=dict)


_TABLES: Final = (
    """
    create table if not exists ops.ledger (
        only_row boolean primary key default true check (only_row),
        last_batch bigint not null,
        position pg_lsn not null,
        last_commit_at timestamptz,
        applied_at timestamptz not null,
        system_identifier text not null
    )
    """,
    """
    create table if not exists ops.applied_tables (
        table_schema text not null,
        table_name text not null,
        staging_name text not null,
        last_batch bigint not null,
        position pg_lsn not null,
        columns jsonb not null,
        copy_position pg_lsn,
        last_lsn pg_lsn,
        last_commit_at timestamptz,
        rows bigint not null,
        rows_before bigint,
        inserted bigint not null,
        updated bigint not null,
        deleted bigint not null,
        state text not null check (state in ('ok', 'quarantined')),
        reason text,
        applied_at timestamptz not null,
        primary key (table_schema, table_name)
    )
    """,
    "comment on table ops.ledger is 'What staging contains: production as it was at position.'",
    "comment on table ops.applied_tables is 'What staging contains of each table, and since when.'",
)

_EXISTS: Final = "select to_regclass('ops.applied_tables') is not null"

_READ: Final = """
select last_batch, position::text, last_commit_at, system_identifier from ops.ledger
"""

_READ_TABLES: Final = """
select table_schema, table_name, staging_name, last_batch, position::text, columns::text,
       copy_position::text, last_lsn::text, last_commit_at, rows, rows_before, inserted, updated,
       deleted, state, reason
from ops.applied_tables
order by table_schema, table_name
"""

_WRITE: Final = """
-- the line that makes an apply true: staging now contains everything up to this batch
insert into ops.ledger (last_batch, position, last_commit_at, applied_at, system_identifier)
values ($1, $2::text::pg_lsn, $3, $4, $5)
on conflict (only_row) do update set
    last_batch = excluded.last_batch, position = excluded.position,
    last_commit_at = coalesce(excluded.last_commit_at, ops.ledger.last_commit_at),
    applied_at = excluded.applied_at, system_identifier = excluded.system_identifier
"""

_ADVANCE: Final = """
-- tables without changes in these batches are contained up to here, too
update ops.applied_tables set last_batch = $1, position = greatest(position, $2::text::pg_lsn)
where state = 'ok'
"""

_WRITE_TABLE: Final = """
insert into ops.applied_tables values ($1, $2, $3, $4, $5::text::pg_lsn, $6::text::jsonb,
    $7::text::pg_lsn, $8::text::pg_lsn, $9, $10, $11, $12, $13, $14, $15, $16, $17)
on conflict (table_schema, table_name) do update set
    staging_name = excluded.staging_name, last_batch = excluded.last_batch,
    position = excluded.position, columns = excluded.columns,
    copy_position = excluded.copy_position,
    last_lsn = coalesce(excluded.last_lsn, ops.applied_tables.last_lsn),
    last_commit_at = coalesce(excluded.last_commit_at, ops.applied_tables.last_commit_at),
    rows = excluded.rows, rows_before = excluded.rows_before, inserted = excluded.inserted,
    updated = excluded.updated, deleted = excluded.deleted, state = excluded.state,
    reason = excluded.reason, applied_at = excluded.applied_at
"""


def ensure_ledger(within: Transaction) -> None:
    """The ledger's schema and tables exist. Repeatable; the caller holds the apply's lock."""
    if within.scalar("select to_regnamespace('ops') is null"):
        within.execute("create schema ops")
    if not within.scalar(_EXISTS):
        for statement in _TABLES:
            within.execute(statement)


def read_ledger(query: Query) -> Ledger:
    """What the ledger says, seen through this query; a new one if there is none yet."""
    if not query(_EXISTS)[0][0]:
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


def write_table(within: Transaction, applied: AppliedTable, now: datetime) -> None:
    """Records what staging now contains of this table."""
    within.execute(
        _WRITE_TABLE,
        applied.table.schema,
        applied.table.name,
        applied.staging_name,
        applied.last_batch,
        str(applied.position),
        _columns_json(applied.columns),
        _text(applied.copy_position),
        _text(applied.last_lsn),
        applied.last_commit_at,
        applied.rows,
        applied.rows_before,
        applied.inserted,
        applied.updated,
        applied.deleted,
        applied.state.value,
        applied.reason,
        now,
    )


def write_ledger(within: Transaction, ledger: Ledger, now: datetime) -> None:
    """Records that staging contains everything up to the ledger's batch and position.

    Tables that follow production are advanced with it; their rows were written before.
    """
    within.execute(_ADVANCE, ledger.last_batch, str(ledger.position))
    within.execute(
        _WRITE,
        ledger.last_batch,
        str(ledger.position),
        ledger.last_commit_at,
        now,
        ledger.system_identifier,
    )


def forget(within: Transaction) -> None:
    """Empties the ledger, as if nothing had ever been applied."""
    within.execute("delete from ops.applied_tables")
    within.execute("delete from ops.ledger")


def _text(lsn: Lsn | None) -> str | None:
    return None if lsn is None else str(lsn)


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)


def _columns_json(columns: Sequence[AppliedColumn]) -> str:
    described = [
        {
            "name": column.name,
            "staging_type": column.staging_type,
            "treatment": column.treatment,
            "since": _text(column.since),
        }
        for column in columns
    ]
    return json.dumps(described, ensure_ascii=False)


def _table(row: tuple[Any, ...]) -> AppliedTable:
    schema, name, staging_name, batch, at, columns, copied, last, *rest = row
    *figures, state, reason = rest
    return AppliedTable(
        TableName(schema, name),
        staging_name,
        batch,
        Lsn.parse(at),
        tuple(AppliedColumn(**{**c, "since": _lsn(c["since"])}) for c in json.loads(columns)),
        _lsn(copied),
        _lsn(last),
        *figures,
        state=State(state),
        reason=reason,
    )
