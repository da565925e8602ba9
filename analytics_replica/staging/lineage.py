"""Values that production did not log because they did not change (TOAST): whose they are.

Here: following a row through updates and changes of its key, to the last value known in the
window or to the row of staging that has it. Not here: last states (compact.py), reading staging
(merge.py).

A *step* is an event; a *life* is a row's steps under one key, named by the `place` of its first. A
life begins with an insert, with a move, or, if it is `held`, in staging before the window. A move
continues the life that the delete just before it ended, under another key.
"""

from __future__ import annotations

from typing import Final

from analytics_replica.postgres.identifiers import Sql, compose, join
from analytics_replica.staging.compact import Events, any_of, column, columns_of

_STEPS: Final = """
-- each event with the life it belongs to
create or replace temp table steps as
select *, first_value(place) over (partition by {key}, number order by place) as life
from (
    select *, sum(begins) over (partition by {key} order by place) as number
    from (
        select place, op, {key}, case
            when op in ('i', 'm') then 1
            when lag(op) over (partition by {key} order by place) = 'd' then 1
            else 0 end as begins
        from events
    )
)
"""

_ORIGINS: Final = """
-- each life with the one where its row came from, however often the key changed since
create or replace temp table origins as
with recursive moves as (
    select child.life, parent.life as left_life
    from steps child join steps parent on parent.place = child.place - 1 and parent.op = 'd'
    where child.op = 'm'
), walked as (
    select life, life as origin from steps
    where place = life and life not in (select life from moves)
    union all
    select moves.life, walked.origin from moves join walked on moves.left_life = walked.life
)
select life, origin from walked
"""

_WANTED: Final = """
-- the last events that lack a value, with the origin of their row
create or replace temp table wanted as
select e.place, o.origin
from events e
join latest l on l.place = e.place and l.live
join steps s on s.place = e.place
join origins o on o.life = s.life
where {lacks}
"""

_KNOWN: Final = """
-- the last value of each wanted column that was logged since the row's origin
create or replace temp table known as
select o.origin {columns}
from events e join steps s using (place) join origins o using (life)
where e.op in ('i', 'u', 'm') and o.origin in (select origin from wanted)
group by o.origin
"""

_KNOWN_COLUMN: Final = """,
arg_max_null(e.{value}, e.place) filter (where not e.{flag}) as {value},
bool_or(not e.{flag}) as {known}
"""

_STATES: Final = """
-- the last event of each key; u… says that the value is not known here, b… the key in staging of
-- the row that has it, `lost` that no row has it
create or replace temp view states as
select *, ({lacks}) and not held as lost, fresh_key and not ({lacks}) as fresh
from (
    select e.place, e.op, e.lsn, e.committed_at, l.live, l.fresh as fresh_key,
           coalesce(origin.number = 0, false) and not {void} as held {columns}
    from events e
    join latest l on l.place = e.place
    left join wanted w on w.place = e.place
    left join known k on k.origin = w.origin
    left join steps origin on origin.place = w.origin
)
"""

_FILLED: Final = """,
case when e.{flag} and k.{known} then k.{value} else e.{value} end as {value},
e.{flag} and not coalesce(k.{known}, false) as {flag}
"""


def make_origins(events: Events) -> None:
    """Makes the tables `steps` (place, key, life, number) and `origins` (life, origin)."""
    events.bench.execute(compose(_STEPS, key=columns_of(events.key)))
    events.bench.execute(compose(_ORIGINS))


def make_states_with_lineage(events: Events) -> None:
    """Like compact.make_states, with u…, b… and `lost` (see _STATES). Needs `latest`."""
    bench = events.bench
    make_origins(events)
    bench.execute(compose(_WANTED, lacks=any_of(events.flagged, "u", "e")))
    known = join("", (_per_column(_KNOWN_COLUMN, i) for i in events.flagged))
    bench.execute(compose(_KNOWN, columns=known))
    bench.execute(
        compose(
            _STATES,
            lacks=any_of(events.flagged, "u"),
            void=compose("true" if events.void else "false"),
            columns=join("", _state_columns(events)),
        )
    )


def _state_columns(events: Events) -> list[Sql]:
    plain = (i for i in range(len(events.shape.columns)) if i not in events.flagged)
    return [
        *(compose(", e.{value}", value=column(i)) for i in plain),
        *(_per_column(_FILLED, i) for i in events.flagged),
        *(
            compose(
                ", coalesce(origin.{key}, e.{key}) as {base}", key=column(i), base=column(i, "b")
            )
            for i in events.key
        ),
    ]


def _per_column(template: str, position: int) -> Sql:
    parts = {
        "value": column(position),
        "flag": column(position, "u"),
        "known": column(position, "k"),
    }
    return compose(template, **{k: v for k, v in parts.items() if f"{{{k}}}" in template})
