"""The tables of histories: making one, and filling it from staging where landing tells nothing.

Here: statements that make a history, and that bring it to what staging contains. Not here: which
tables have one (history.py), versions from landed events (versions.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from analytics_replica.domain.batches import COMMITTED_AT, LSN
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import (
    Sql,
    compose,
    compose_of,
    join,
    literal,
    name,
    names,
    table,
)
from analytics_replica.staging.boundaries import moment
from analytics_replica.staging.deleted import living
from analytics_replica.staging.versions import ENDED_LSN, GONE, OWN, VALID_FROM, VALID_TO
from analytics_replica.staging.warehouse import Transaction

_CREATE: Final = (
    "create table {history} as select {columns} from {staging} limit 0",
    """
    alter table {history} add column {from_} timestamp with time zone,
        add column {to} timestamp with time zone, add column {lsn} pg_lsn not null,
        add column {ended} pg_lsn, add column {gone} boolean not null default false
    """,
)

_FINISH: Final = (
    "alter table {history} add primary key ({key}, {lsn})",
    "create unique index on {history} ({key}) where {ended} is null",
    "create index on {history} ({to}) where {gone}",
    "analyze {history}",
)

_MEANINGS: Final = {
    VALID_FROM: "When the version was committed, by production's clock; NULL: before history.",
    VALID_TO: "When it was replaced or deleted; NULL while it is valid.",
    LSN: "Where in production's log it was committed.",
    ENDED_LSN: "Where in production's log it was replaced or deleted; NULL while it is valid.",
    GONE: "True if no row had the key any more when the version ended.",
}

_SEED: Final = """
insert into {history} ({columns}, {from_}, {lsn})
select {columns}, {committed_at}, {lsn} from {staging} s where {living}
"""

_END_OTHERS: Final = """
-- nobody told this history what happened for a time: what is not as it was ends here
update {history} h set {to} = {at}, {ended} = {position},
    {gone} = not exists (select from {staging} s where {same_key} and {living})
where h.{ended} is null and not exists (
    select from {staging} s
    where {same_key} and {living} and row({held})::record *= row({found})::record
)
"""

_BEGIN_OTHERS: Final = """
insert into {history} ({columns}, {from_}, {lsn})
select {found}, {at}, {position} from {staging} s
where {living} and not exists (select from {history} h where h.{ended} is null and {same_key})
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """A history, and the staging table whose rows it takes over as they were at this position."""

    history: TableName
    staging: TableName
    columns: Sequence[str]
    keeps: bool
    position: Lsn
    at: datetime | None


def create_history(
    within: Transaction, target: TableName, staging: TableName, columns: Sequence[str]
) -> None:
    """Makes the history, empty and without indexes, with these columns of the staging table."""
    parts = {"history": table(target), "columns": names(columns), "staging": table(staging)}
    for template in _CREATE:
        within.execute(compose_of(template, {**parts, **OWN}))
    about = f"Every version of the rows of {staging}. analytics-replica writes it."
    within.execute(compose("comment on table {t} is {x}", t=table(target), x=literal(about)))
    for column, meaning in _MEANINGS.items():
        parts = {"t": table(target), "c": name(column), "x": literal(meaning)}
        within.execute(compose("comment on column {t}.{c} is {x}", **parts))


def finish_history(within: Transaction, target: TableName, key: Sequence[str]) -> None:
    """Builds the indexes over the versions that are there: by key, open ones, deleted ones."""
    parts = {"history": table(target), "key": names(key), **OWN}
    for template in _FINISH:
        within.execute(compose_of(template, parts))


def follow_staging(
    within: Transaction, followed: Followed, key: Sequence[str], *, new: bool
) -> None:
    """Brings the history to staging's rows; what was between is not known.

    In a `new` one, versions begin when their rows were last touched; else at staging's position.
    """
    same = (compose("s.{c} = h.{c}", c=name(column)) for column in key)
    parts = {
        "history": table(followed.history),
        "staging": table(followed.staging),
        "columns": names(followed.columns),
        "living": living(keeps=followed.keeps),
        "committed_at": name(COMMITTED_AT),
        "held": _of("h", followed.columns),
        "found": _of("s", followed.columns),
        "same_key": join(" and ", same),
        "at": compose("null") if followed.at is None else moment(followed.at),
        "position": compose("{text}::pg_lsn", text=literal(str(followed.position))),
        **OWN,
    }
    for template in (_SEED,) if new else (_END_OTHERS, _BEGIN_OTHERS):
        within.execute(compose_of(template, parts))


def _of(relation: str, columns: Sequence[str]) -> Sql:
    return join(", ", (compose("{r}.{c}", r=name(relation), c=name(c)) for c in columns))
