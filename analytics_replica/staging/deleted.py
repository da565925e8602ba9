"""Soft deletion: rows that production deleted stay in staging, marked (`deleted: keep`).

Here: the two columns that mark them, and merging a window into such a table. Not here: tables
whose deleted rows go (merge.py), when a marked row goes for good (remnants.py).

A row that was there at no commit leaves nothing, however the log was cut into applies. The ledger
counts the living rows, so its figures mean what they mean for every other table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from analytics_replica.domain.batches import COMMITTED_AT, LSN
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, compose_of, literal, name, table
from analytics_replica.staging import ddl
from analytics_replica.staging.boundaries import make_lived, moment
from analytics_replica.staging.compact import Events, columns_of
from analytics_replica.staging.ddl import HeldTable
from analytics_replica.staging.incoming import drop_incoming, load_incoming, load_rows
from analytics_replica.staging.merge import Changes, find_bases, same_key, upsert
from analytics_replica.staging.plans import Plan, removable_views
from analytics_replica.staging.warehouse import Transaction

DELETED_AT: Final = "_replica_deleted_at"
DELETED_LSN: Final = "_replica_deleted_lsn"

_OWN: Final = {"at": name(DELETED_AT), "lsn": name(DELETED_LSN)}

_ADD: Final = (
    "alter table {table} add column {at} timestamp with time zone, add column {lsn} pg_lsn",
    """
    comment on column {table}.{at}
    is 'When production deleted the row, by its clock; NULL while it lives.'
    """,
    """
    comment on column {table}.{lsn}
    is 'Where in production''s log the row was deleted; NULL while it lives.'
    """,
    "create index on {table} ({at}) where {lsn} is not null",
)

_DROP: Final = (
    "delete from {table} where {lsn} is not null",
    "alter table {table} drop column {at}, drop column {lsn}",
)

_LAST: Final = """
-- each key as it last lived, and when it was gone after that (or at all)
(select * from (
    select *, coalesce(max(lsn) filter (where live) over (partition by {key}), -1) as last
    from lived
 )
 qualify lsn = last or lsn = min(lsn) filter (where lsn > last) over (partition by {key}))
"""

_REVIVE: Final = """
-- rows that live again under their key
update {table} s
set {at} = null, {lsn} = null, {row_lsn} = i.lsn, {committed_at} = i.committed_at
from pg_temp.incoming i
where i.live and s.{lsn} is not null and {same_key}
"""

_MARK: Final = """
update {table} s set {at} = i.committed_at, {lsn} = i.lsn
from pg_temp.incoming i
where not i.live and s.{lsn} is null and {same_key}
"""

_MARK_ABSENT: Final = """
-- after a copy or a truncation: everything that did not come (again)
update {table} s set {at} = {void_at}, {lsn} = {void_lsn}::pg_lsn
where s.{lsn} is null and not exists (select from pg_temp.incoming i where {same_key})
"""


def keeps_deleted(held: HeldTable) -> bool:
    """True if the table marks its deleted rows."""
    return DELETED_LSN in held.columns


def living(*, keeps: bool) -> Sql:
    """The condition under which a row of such a table lives in production."""
    return compose("{lsn} is null", lsn=_OWN["lsn"]) if keeps else compose("true")


def add_marks(within: Transaction, target: TableName) -> None:
    """Gives the table the columns that mark deleted rows."""
    for template in _ADD:
        within.execute(compose_of(template, {"table": table(target), **_OWN}))


def drop_marks(within: Transaction, target: TableName, source: TableName) -> None:
    """Removes the marked rows, and then the marks.

    TableQuarantined if a view reads the table that dbt does not make again.
    """
    ddl.drop_views(within, removable_views(within, target, source))
    for template in _DROP:
        within.execute(compose_of(template, {"table": table(target), **_OWN}))


def merge_keeping(
    within: Transaction, events: Events, plan: Plan, copied_at: datetime | None
) -> Changes:
    """Brings the table to the state after these events, all of the window's; marks what is gone.

    Counted are living rows. TableQuarantined if production did not log a value that nobody has;
    what was changed so far must then be rolled back.
    """
    if plan.create and events.window.inserts_only:
        return Changes(inserted=load_rows(within, events, plan.target, compose("events")))
    lived = make_lived(events, copied_at)
    last = compose(_LAST, key=columns_of(events.key))
    load_incoming(within, events, last, flags=["live"], flagged=lived.unresolved)
    if lived.unresolved:
        find_bases(within, events, plan, lived.unresolved)
    parts = {
        "table": table(plan.target),
        "same_key": same_key(events),
        "row_lsn": name(LSN),
        "committed_at": name(COMMITTED_AT),
        **_OWN,
    }
    revived = within.execute(compose_of(_REVIVE, parts))
    changes = upsert(within, events, plan, lived.unresolved)
    marked = within.execute(compose_of(_MARK, parts))
    if lived.void is not None:
        parts["void_at"] = moment(lived.void.at)
        parts["void_lsn"] = literal(str(Lsn(lived.void.lsn)))
        marked += within.execute(compose_of(_MARK_ABSENT, parts))
    drop_incoming(within)
    return Changes(changes.inserted + revived, changes.updated, marked)
