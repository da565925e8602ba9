"""Versions: bringing a history table to the state after a window, in the apply's transaction.

Here: the statements that begin and end versions. Not here: which tables have a history, and making
it (history.py), what each transaction left of a key (boundaries.py).

A version is a time without interruption in which a row printed the same at every commit. So what
makes no difference makes no version, and a replay finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from analytics_replica.domain.batches import LSN
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import (
    Sql,
    compose,
    join,
    literal,
    name,
    names,
    number,
    table,
)
from analytics_replica.staging.boundaries import Lived, moment
from analytics_replica.staging.compact import Events, any_of, column, columns_of
from analytics_replica.staging.incoming import drop_incoming, load_incoming, received
from analytics_replica.staging.merge import no_base, same_key
from analytics_replica.staging.warehouse import Transaction

VALID_FROM: Final = "_replica_valid_from"
VALID_TO: Final = "_replica_valid_to"
ENDED_LSN: Final = "_replica_ended_lsn"
GONE: Final = "_replica_deleted"

OWN: Final = {
    "lsn": name(LSN),
    "from_": name(VALID_FROM),
    "to": name(VALID_TO),
    "ended": name(ENDED_LSN),
    "gone": name(GONE),
}

_FORGET: Final = """
-- what came after the copy's position is told a second time
delete from {history} where {lsn} >= {position}
"""

_REOPEN: Final = """
update {history} set {to} = null, {ended} = null, {gone} = false where {ended} >= {position}
"""

_NEWEST: Final = "select max(greatest({from_}, {to})) from {history}"

_MOVED: Final = """
(select * replace (
    case when lsn < {copied} then {at} else committed_at end as committed_at,
    greatest(lsn, {lsn}) as lsn
) from lived)
"""

_BASELESS: Final = """
select count(*) from pg_temp.incoming i
where i.live and ({flags})
    and not exists (select from {history} s where s.{ended} is null and {base})
"""

_CHAIN: Final = """
-- every state that the window brings, and the versions that were open before it
create temporary table chain as
select {values}, i.live, i.lsn, i.committed_at, false as held, false as stale
from pg_temp.incoming i {bases}
union all
select {columns}, true, s.{lsn}, s.{from_}, true, {stale}
from {history} s
where s.{ended} is null and exists (select from pg_temp.incoming i where {same_key})
"""

_BASES: Final = "left join {history} s on i.live and ({flags}) and s.{ended} is null and {base}"

_VERSIONS: Final = """
-- each of them that differs from the one before in any bit of any column, with its end
create temporary table versions as
select {columns}, live, lsn, committed_at, held,
       lead(lsn) over w as ended_lsn, lead(committed_at) over w as ended_at,
       coalesce(not lead(live) over w, false) as gone
from (
    select *, lag(live) over v as was_live, lag(stale) over v as was_stale,
           lag(row({columns})::record) over v as was
    from pg_temp.chain
    window v as (partition by {key} order by held desc, lsn)
) c
where held or case
    when live then was_live is not true or was_stale or row({columns})::record *<> was
    else was_live
end
window w as (partition by {key} order by held desc, lsn)
"""

_END: Final = """
update {history} s set {to} = v.ended_at, {ended} = v.ended_lsn, {gone} = v.gone
from pg_temp.versions v
where v.held and v.ended_lsn is not null and s.{ended} is null and {same_key}
"""

_END_ABSENT: Final = """
-- a copy or a truncation ends whatever does not come again
update {history} s set {to} = {at}, {ended} = {position}, {gone} = true
where s.{ended} is null and not exists (select from pg_temp.incoming i where {same_key})
"""

_BEGIN: Final = """
insert into {history} ({columns}, {from_}, {to}, {lsn}, {ended}, {gone})
select {values}, committed_at, ended_at, lsn, ended_lsn, gone
from pg_temp.versions
where live and not held
"""

_BEGIN_ALL: Final = """
insert into {history} ({columns}, {from_}, {lsn}) select {values}, i.committed_at, i.lsn
from pg_temp.incoming i
"""


def rewind(within: Transaction, history: TableName, position: Lsn) -> bool:
    """Takes the history back to a copy's position; True if it has any version then."""
    parts = {"history": table(history), "position": _position(position.value - 1)}
    within.execute(compose(_FORGET, **parts, lsn=OWN["lsn"]))
    opened = {key: OWN[key] for key in ("to", "ended", "gone")}
    within.execute(compose(_REOPEN, **parts, **opened))
    return bool(within.scalar(compose("select exists (select from {h})", h=table(history))))


def newest(within: Transaction, history: TableName) -> datetime | None:
    """When the newest version began or ended, as far as that is known."""
    query = compose(_NEWEST, history=table(history), from_=OWN["from_"], to=OWN["to"])
    found: datetime | None = within.scalar(query)
    return found


def begin_all(within: Transaction, events: Events, history: TableName) -> None:
    """Fills an empty history with these events, each of which is a row of its own."""
    load_incoming(within, events, compose("events"))
    within.execute(
        compose(
            _BEGIN_ALL,
            history=table(history),
            columns=_names(events),
            values=received(events),
            from_=OWN["from_"],
            lsn=OWN["lsn"],
        )
    )
    drop_incoming(within)


def bring(
    within: Transaction,
    events: Events,
    history: TableName,
    left_over: Sequence[str],
    lived: Lived,
    *,
    anew: bool,
) -> None:
    """Begins and ends the versions that these states ask for.

    `anew`: the history is empty, so versions begin with their rows' own times, not the copy's.
    TableQuarantined if nobody has a value that production did not log; then roll back.
    """
    void, copied = lived.void, events.window.copied_at
    rows = compose("lived")
    if void is not None and copied is not None and not anew:
        at = moment(void.at)
        parts = {"copied": number(copied.value), "lsn": number(void.lsn), "at": at}
        rows = compose(_MOVED, **parts)
    load_incoming(within, events, rows, flags=["live"], flagged=lived.unresolved)
    _chain(within, events, history, left_over, lived.unresolved)
    key, columns = columns_of(events.key), _columns(events)
    within.execute(compose(_VERSIONS, key=key, columns=columns))
    within.execute("analyze pg_temp.versions")
    ends = {"history": table(history), "to": OWN["to"], "ended": OWN["ended"], "gone": OWN["gone"]}
    within.execute(compose(_END, **ends, same_key=_same_key(events)))
    if void is not None:
        absent = {"same_key": same_key(events), "at": moment(void.at)}
        position = _position(void.lsn)
        within.execute(compose(_END_ABSENT, **ends, **absent, position=position))
    own = {key: value for key, value in OWN.items() if key not in ends}
    within.execute(compose(_BEGIN, **ends, **own, columns=_names(events), values=columns))
    drop_incoming(within)
    within.execute("drop table pg_temp.chain, pg_temp.versions")


def _chain(
    within: Transaction,
    events: Events,
    history: TableName,
    left_over: Sequence[str],
    unresolved: tuple[int, ...],
) -> None:
    known = {"history": table(history), "ended": OWN["ended"]}
    bases = compose("")
    if unresolved:
        flags, base = any_of(unresolved, "u", "i"), same_key(events, "b")
        baseless = within.scalar(compose(_BASELESS, **known, flags=flags, base=base))
        if baseless:
            raise no_base(events, baseless)
        bases = compose(_BASES, **known, flags=flags, base=base)
    stale = join(" or ", (compose("s.{c} is not null", c=name(c)) for c in left_over))
    within.execute(
        compose(
            _CHAIN,
            **known,
            values=join(", ", _values(events, unresolved)),
            columns=join(", ", (_held(events, i) for i in range(len(events.shape.columns)))),
            bases=bases,
            stale=stale if left_over else compose("false"),
            same_key=same_key(events),
            lsn=OWN["lsn"],
            from_=OWN["from_"],
        )
    )


def _values(events: Events, unresolved: Sequence[int]) -> list[Sql]:
    values = []
    for i, encoding in enumerate(events.encodings):
        value = encoding.receive(column(i, of="i"))
        if i in unresolved:
            flag, held = column(i, "u", "i"), _held(events, i)
            value = compose("case when {u} then {h} else {v} end", u=flag, h=held, v=value)
        values.append(compose("{value} as {label}", value=value, label=column(i)))
    return values


def _same_key(events: Events) -> Sql:
    """True where the history's version (s) has the key of one of `versions` (v)."""
    pairs = (compose("{s} = {v}", s=_held(events, i), v=column(i, of="v")) for i in events.key)
    return join(" and ", pairs)


def _held(events: Events, position: int) -> Sql:
    return compose("s.{column}", column=name(events.shape.columns[position].name))


def _columns(events: Events) -> Sql:
    return columns_of(range(len(events.shape.columns)))


def _names(events: Events) -> Sql:
    return names(c.name for c in events.shape.columns)


def _position(value: int) -> Sql:
    return compose("{text}::pg_lsn", text=literal(str(Lsn(value))))
