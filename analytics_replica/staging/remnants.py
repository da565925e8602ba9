"""Remnants: what histories and marked rows still tell of deleted rows, removed when it is time.

Here: removing them, at every apply, `deleted_days` after the deletion. Not here: landing's memory
of deleted rows (fold.py), proving that nobody is left anywhere (serving.erasure).

A version whose row was gone when it ended takes all earlier versions of its key with it, so a key
that is used again does not keep what its last owner left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import compose, join, name, table
from analytics_replica.settings.load import Settings
from analytics_replica.staging.deleted import DELETED_AT, DELETED_LSN
from analytics_replica.staging.versions import OWN
from analytics_replica.staging.warehouse import Transaction

_VERSIONS: Final = """
-- the last version of each deleted row, and every version of the key before it
delete from {history} h using {history} last
where last.{gone} and last.{to} <= $1 and {same_key} and h.{lsn} <= last.{lsn}
"""

_ROWS: Final = "delete from {table} where {lsn} is not null and {at} <= $1"


def forget_before(settings: Settings, source: TableName, now: datetime) -> datetime:
    """Rows of this table that were deleted up to this moment must not be held any more."""
    days = settings.tables[source].days_of_deleted(settings.replica.landing)
    return now - timedelta(days=days)


def remove_versions(
    within: Transaction, history: TableName, key: Sequence[str], before: datetime
) -> int:
    """Removes the versions of rows that were deleted up to this moment; returns how many."""
    same = (compose("h.{c} = last.{c}", c=name(column)) for column in key)
    own = {part: OWN[part] for part in ("gone", "to", "lsn")}
    parts = {"history": table(history), "same_key": join(" and ", same)}
    return within.execute(compose(_VERSIONS, **parts, **own), before)


def remove_rows(within: Transaction, target: TableName, before: datetime) -> int:
    """Removes the rows that were deleted up to this moment; returns how many."""
    own = {"lsn": name(DELETED_LSN), "at": name(DELETED_AT)}
    return within.execute(compose(_ROWS, table=table(target), **own), before)
