"""What every key was after each transaction that touched it: what histories are made of.

Here: these states of one window in DuckDB, with the values that production did not log filled in
as far as the window knows them. Not here: last states alone (compact.py), what is done with them
in the warehouse (versions.py, deleted.py).

What a transaction did to a row in between nobody else ever saw, so its last word counts alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from analytics_replica.postgres.identifiers import Sql, compose, join, literal, number
from analytics_replica.staging.compact import Events, any_of, column, columns_of
from analytics_replica.staging.lineage import make_origins
from analytics_replica.staging.merge import no_base

_TOUCHED: Final = """
-- each key with each transaction that touched it: its last event, and whether that leaves a row
create or replace temp table touched as
select {key}, lsn, max(place) as place, arg_max(op, place) <> 'd' as live,
       max(committed_at) as committed_at
from events
where op <> 't'
group by {key}, lsn
"""

_CUTS: Final = """
-- the transactions that truncated the table
create or replace temp table cuts as
select lsn, max(place) as place, max(committed_at) as committed_at
from events where op = 't'
group by lsn
"""

_FIRST_CUT: Final = "select lsn, committed_at from cuts order by lsn limit 1"

_CUT: Final = """
-- the same with the deaths that truncations brought
create or replace temp table touched as
with whole as (
    select {key}, t.lsn, t.place, t.live and coalesce(t.place > same.place, true) as live,
           t.committed_at, lead(t.lsn) over (partition by {key} order by t.lsn) as next_lsn
    from touched t left join cuts same on same.lsn = t.lsn
)
select {key}, lsn, place, live, committed_at from whole
union all
select {key}, cuts.lsn, null, false, cuts.committed_at
from whole asof join cuts on whole.lsn < cuts.lsn
where whole.live and (whole.next_lsn is null or cuts.lsn < whole.next_lsn)
"""

_VOID: Final = """
-- keys that come only later were gone by then
insert into touched
select {key}, {lsn}, null, false, {at}
from (select {key}, min(lsn) as first from touched group by {key})
where first > {lsn}
"""

_FILLED: Final = """
-- for rows with gaps: each value as it was last logged (v…, NULL: not in this window), and where
-- the row came from
create or replace temp table filled as
select e.place, o.origin {values}
from events e join steps s using (place) join origins o using (life)
where e.op in ('i', 'u', 'm') and o.origin in (
    select o.origin from events e join steps s using (place) join origins o using (life)
    where {gaps}
)
"""

_LOGGED: Final = """,
last_value(case when not e.{flag} then struct_pack(v := e.{value}) end ignore nulls) over (
    partition by o.origin order by e.place rows unbounded preceding
) as {known}
"""

_LIVED: Final = """
-- u… says that the value is not known here, b… the key that the row with it had before the window,
-- `lost` that no row has it
create or replace temp view lived as
select *, {lacks} and not held as lost
from (
    select t.lsn, t.committed_at, t.live, {held} as held {columns}
    from touched t
    left join events e on e.place = case when t.live then t.place end
    {origins}
)
"""

_ORIGINS: Final = """
left join filled f on f.place = e.place
left join steps origin on origin.place = f.origin
"""


@dataclass(frozen=True, slots=True)
class Void:
    """Where nothing is left of the rows before the window: a copy, or the first truncation."""

    lsn: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Lived:
    """The view `lived`: c…, live, lsn, committed_at; u… and b… for the `unresolved` columns."""

    void: Void | None
    unresolved: tuple[int, ...]


def make_lived(events: Events, copied_at: datetime | None) -> Lived:
    """Makes the view `lived` of these events, which are all of the window's, truncations, too.

    `copied_at` is the time that goes with the copy that the window begins with. TableQuarantined
    if production did not log a value that nobody has.
    """
    bench, key = events.bench, columns_of(events.key)
    bench.execute(compose(_TOUCHED, key=key))
    void = None
    if events.window.copied_at is not None and copied_at is not None:
        void = Void(events.window.copied_at.value - 1, copied_at)
    if any(file.truncates for file in events.window.files):
        bench.execute(compose(_CUTS))
        bench.execute(compose(_CUT, key=key))
        void = void or next((Void(*row) for row in bench.rows(compose(_FIRST_CUT))), None)
    if void is not None:
        at = moment(void.at)
        bench.execute(compose(_VOID, key=key, lsn=number(void.lsn), at=at))
    gaps = events.window.unchanged
    if gaps:
        _fill(events)
    bench.execute(_lived(events, gaps=gaps))
    return Lived(void, _unresolved(events) if gaps else ())


def moment(at: datetime) -> Sql:
    """A point in time as a constant, for DuckDB and PostgreSQL."""
    return compose("{text}::timestamptz", text=literal(at.isoformat()))


def _fill(events: Events) -> None:
    make_origins(events)
    values = (
        compose(_LOGGED, flag=column(i, "u"), value=column(i), known=column(i, "v"))
        for i in events.flagged
    )
    gaps = any_of(events.flagged, "u", "e")
    events.bench.execute(compose(_FILLED, values=join("", values), gaps=gaps))


def _lived(events: Events, *, gaps: bool) -> Sql:
    columns = [compose(", t.{c}", c=column(i)) for i in events.key]
    flagged = set(events.flagged) - set(events.key) if gaps else set()
    for i in range(len(events.shape.columns)):
        parts = {"c": column(i), "u": column(i, "u"), "v": column(i, "v")}
        if i in flagged:
            known = "case when e.{u} and f.{v} is not null then f.{v}.v else e.{c} end as {c}"
            columns.append(
                compose(
                    f", {known}, coalesce(e.{{u}} and f.{{v}} is null, false) as {{u}}", **parts
                )
            )
        elif i not in events.key:
            columns.append(compose(", e.{c}", c=column(i)))
    if gaps:
        columns += [
            compose(", coalesce(origin.{c}, t.{c}) as {b}", c=column(i), b=column(i, "b"))
            for i in events.key
        ]
    held = "coalesce(origin.number = 0, false)" if gaps and not _copied(events) else "false"
    return compose(
        _LIVED,
        lacks=compose("({flags})", flags=any_of(sorted(flagged), "u")),
        held=compose(held),
        columns=join("", columns),
        origins=compose(_ORIGINS if gaps else ""),
    )


def _unresolved(events: Events) -> tuple[int, ...]:
    """The columns with values that only a row from before the window has."""
    bench = events.bench
    positions = sorted(set(events.flagged) - set(events.key))
    lost = bench.scalar(compose("select count(*) from lived where live and lost"))
    if lost:
        raise no_base(events, lost)
    lacking = join(", ", (compose("count_if(live and {u})", u=column(i, "u")) for i in positions))
    counts = bench.rows(compose("select {counts} from lived", counts=lacking))[0]
    return tuple(i for i, count in zip(positions, counts, strict=True) if count)


def _copied(events: Events) -> bool:
    return events.window.copied_at is not None
