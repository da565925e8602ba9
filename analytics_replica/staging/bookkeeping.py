"""Bookkeeping: the ledger's tables, and writing what one apply did, inside its transaction.

Here: statements that make and change `ops.ledger` and `ops.applied_tables`. Not here: what they
mean, and reading them (ledger.py).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from analytics_replica.domain.batches import CatalogTable
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.staging.ledger import EXISTS, AppliedColumn, AppliedTable, Ledger
from analytics_replica.staging.warehouse import Transaction

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
        identity jsonb,
        primary key (table_schema, table_name)
    )
    """,
    "comment on table ops.ledger is 'What staging contains: production as it was at position.'",
    "comment on table ops.applied_tables is 'What staging contains of each table, and since when.'",
)

_HAS_IDENTITY: Final = """
-- false where an older release made the ledger
select exists (select from pg_attribute
    where attrelid = 'ops.applied_tables'::regclass and attname = 'identity')
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
update ops.applied_tables
set last_batch = greatest(last_batch, $1), position = greatest(position, $2::text::pg_lsn),
    rows_before = rows, inserted = 0, updated = 0, deleted = 0, applied_at = $3
where state = 'ok' and (last_batch < $1 or position < $2::text::pg_lsn)
"""

_WRITE_TABLE: Final = """
insert into ops.applied_tables values ($1, $2, $3, $4, $5::text::pg_lsn, $6::text::jsonb,
    $7::text::pg_lsn, $8::text::pg_lsn, $9, $10, $11, $12, $13, $14, $15, $16, $17,
    $18::text::jsonb)
on conflict (table_schema, table_name) do update set
    staging_name = excluded.staging_name, last_batch = excluded.last_batch,
    position = excluded.position, columns = excluded.columns,
    copy_position = excluded.copy_position,
    last_lsn = coalesce(excluded.last_lsn, ops.applied_tables.last_lsn),
    last_commit_at = coalesce(excluded.last_commit_at, ops.applied_tables.last_commit_at),
    rows = excluded.rows, rows_before = excluded.rows_before, inserted = excluded.inserted,
    updated = excluded.updated, deleted = excluded.deleted, state = excluded.state,
    reason = excluded.reason, applied_at = excluded.applied_at, identity = excluded.identity
"""


_WRITE_IDENTITY: Final = """
update ops.applied_tables set identity = $3::text::jsonb where table_schema = $1 and table_name = $2
"""

_RENAME: Final = """
update ops.applied_tables set staging_name = $3 where table_schema = $1 and table_name = $2
"""

_FORGET: Final = """
delete from ops.applied_tables where table_schema = $1 and table_name = $2
"""


def ensure_ledger(within: Transaction) -> None:
    """The ledger's schema and tables exist. Repeatable; the caller holds the apply's lock."""
    if within.scalar("select to_regnamespace('ops') is null"):
        within.execute("create schema ops")
    if not within.scalar(EXISTS):
        for statement in _TABLES:
            within.execute(statement)
    if not within.scalar(_HAS_IDENTITY):
        within.execute("alter table ops.applied_tables add column identity jsonb")


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
        _identity_json(applied.identity),
    )


def write_identity(within: Transaction, table: TableName, identity: CatalogTable) -> None:
    """Records how production's catalog has a table of which nothing else changed."""
    within.execute(_WRITE_IDENTITY, table.schema, table.name, _identity_json(identity))


def write_ledger(within: Transaction, ledger: Ledger, now: datetime) -> None:
    """Records that staging contains everything up to the ledger's batch and position.

    Tables that follow production are advanced with it; their rows were written before.
    """
    within.execute(_ADVANCE, ledger.last_batch, str(ledger.position), now)
    within.execute(
        _WRITE,
        ledger.last_batch,
        str(ledger.position),
        ledger.last_commit_at,
        now,
        ledger.system_identifier,
    )


def rename_table(within: Transaction, table: TableName, staging_name: str) -> None:
    """Records the table's new name in staging."""
    within.execute(_RENAME, table.schema, table.name, staging_name)


def forget_table(within: Transaction, table: TableName) -> None:
    """Removes the table from the ledger, as if it had never been applied."""
    within.execute(_FORGET, table.schema, table.name)


def forget(within: Transaction) -> None:
    """Empties the ledger, as if nothing had ever been applied."""
    within.execute("delete from ops.applied_tables")
    within.execute("delete from ops.ledger")


def _text(lsn: Lsn | None) -> str | None:
    return None if lsn is None else str(lsn)


def _identity_json(identity: CatalogTable | None) -> str | None:
    if identity is None:
        return None
    body = dataclasses.asdict(identity) | {"table": [identity.table.schema, identity.table.name]}
    return json.dumps(body, ensure_ascii=False)


def _columns_json(columns: Sequence[AppliedColumn]) -> str:
    described = [
        {
            "name": column.name,
            "staging_type": column.staging_type,
            "treatment": column.treatment,
            "since": _text(column.since),
            "before": column.before,
            "was": column.was,
        }
        for column in columns
    ]
    return json.dumps(described, ensure_ascii=False)
