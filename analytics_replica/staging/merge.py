"""Merging the last states of a keyed table into staging, touching only rows that changed.

Here: which rows go where, and the statements. Not here: finding last states (compact.py,
lineage.py), loading (incoming.py).

New keys are appended by COPY. All others pass through `incoming`: delete what is gone, update what
differs, insert what is missing. Keys are never updated, so no order of moved or swapped keys can
break the primary key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.batches import COMMITTED_AT, LSN
from analytics_replica.postgres.identifiers import Sql, compose, join, name, table
from analytics_replica.staging.compact import Events, any_of, column, find_latest, make_states
from analytics_replica.staging.incoming import (
    drop_incoming,
    insert_incoming,
    load_incoming,
    load_rows,
)
from analytics_replica.staging.lineage import make_states_with_lineage
from analytics_replica.staging.plans import Plan
from analytics_replica.staging.quarantine import TableQuarantined, quarantined
from analytics_replica.staging.warehouse import Transaction


@dataclass(frozen=True, slots=True)
class Changes:
    """How many rows of a staging table an apply inserted, updated and deleted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
        )


_BASELESS: Final = """
-- rows with a value that only staging can have, whose row staging does not have
select count(*) from pg_temp.incoming i
where i.live and ({flags}) and not exists (select from {table} s where {base})
"""

_FILL: Final = """
-- rows whose key changed take what was not logged from the row under the old key, before it goes
update pg_temp.incoming i set {values}
from {table} s
where i.live and ({flags}) and ({moved}) and {base}
"""

_DELETE: Final = """
-- keys that are gone
delete from {table} s using pg_temp.incoming i
where not i.live and {same_key}
"""

_DELETE_ABSENT: Final = """
-- after a copy or a truncation: everything that did not come (again)
delete from {table} s
where not exists (select from pg_temp.incoming i where {same_key})
"""

_UPDATE: Final = """
-- rows that differ in any bit of any column (the image operator knows every type, and tells
-- 1.0 from 1.00); a value that was not logged stays as it is
update {table} s
set {values}, {lsn} = i.lsn, {committed_at} = i.committed_at
from pg_temp.incoming i
where i.live and {same_key} and ({differs})
"""

_MISSING: Final = """
where i.live and not exists (select from {table} s where {same_key})
"""


def merge(within: Transaction, events: Events, plan: Plan) -> Changes:
    """Brings the table to the state after these events.

    TableQuarantined if production did not log a value that nobody has; what was changed so far
    must then be rolled back.
    """
    if events.window.inserts_only and (plan.create or not events.void):
        return Changes(inserted=load_rows(within, events, plan.target, compose("events")))
    find_latest(events)
    unresolved = _states(events)
    if plan.create:
        rows = compose("(select * from states where live)")
        return Changes(inserted=load_rows(within, events, plan.target, rows))
    if events.void:
        return _merge_whole(within, events, plan)
    fresh = compose("(select * from states where live and fresh)")
    changed = compose("(select * from states where not fresh)")
    merged = _merge_changed(within, events, plan, changed, unresolved)
    return merged + Changes(inserted=load_rows(within, events, plan.target, fresh))


def _states(events: Events) -> tuple[int, ...]:
    """Makes `states`; the columns with values that only staging has."""
    if not events.window.unchanged:
        make_states(events)
        return ()
    make_states_with_lineage(events)
    lost = events.bench.scalar(compose("select count(*) from states where live and lost"))
    if lost:
        raise no_base(events, lost)
    lacking = (compose("count_if(live and {flag})", flag=column(i, "u")) for i in events.flagged)
    counts = events.bench.rows(compose("select {counts} from states", counts=join(", ", lacking)))
    return tuple(i for i, count in zip(events.flagged, counts[0], strict=True) if count)


def _merge_whole(within: Transaction, events: Events, plan: Plan) -> Changes:
    rows = compose("(select * from states where live)")
    load_incoming(within, events, rows, flags=["live"])
    deleted = within.execute(
        compose(_DELETE_ABSENT, table=table(plan.target), same_key=same_key(events))
    )
    changes = upsert(within, events, plan, ()) + Changes(deleted=deleted)
    drop_incoming(within)
    return changes


def _merge_changed(
    within: Transaction, events: Events, plan: Plan, rows: Sql, unresolved: tuple[int, ...]
) -> Changes:
    loaded = load_incoming(within, events, rows, flags=["live"], flagged=unresolved)
    changes = Changes()
    if loaded:
        if unresolved:
            find_bases(within, events, plan, unresolved)
        deleted = within.execute(
            compose(_DELETE, table=table(plan.target), same_key=same_key(events))
        )
        changes = upsert(within, events, plan, unresolved) + Changes(deleted=deleted)
    drop_incoming(within)
    return changes


def find_bases(
    within: Transaction, events: Events, plan: Plan, unresolved: tuple[int, ...]
) -> None:
    """Gives moved rows of `incoming` the values that only staging's old rows have.

    TableQuarantined if staging lacks one of these rows.
    """
    parts = {
        "table": table(plan.target),
        "flags": any_of(unresolved, "u", "i"),
        "base": same_key(events, "b"),
    }
    baseless = within.scalar(compose(_BASELESS, **parts))
    if baseless:
        raise no_base(events, baseless)
    values = (
        compose(
            "{own} = case when i.{flag} then {held} else i.{own} end, {flag} = false",
            own=column(i),
            flag=column(i, "u"),
            held=events.encodings[i].give_back(_held(events, i)),
        )
        for i in unresolved
    )
    moved = (
        compose("{base} is distinct from {own}", base=column(i, "b", "i"), own=column(i, of="i"))
        for i in events.key
    )
    within.execute(compose(_FILL, **parts, values=join(", ", values), moved=join(" or ", moved)))


def upsert(within: Transaction, events: Events, plan: Plan, unresolved: tuple[int, ...]) -> Changes:
    """Updates rows that differ from the live ones of `incoming`, inserts those that are missing."""
    updated = 0
    positions = [i for i in range(len(events.shape.columns)) if i not in events.key]
    left_over = [name(column_name) for column_name in plan.left_over]
    values = {i: _value(events, i, unresolved) for i in positions}
    if positions or left_over:
        differs = [
            *(compose("s.{column} is not null", column=c) for c in left_over),
            *([_differs(events, values)] if positions else []),
        ]
        assignments = [
            *(compose("{c} = {value}", c=_name(events, i), value=values[i]) for i in positions),
            *(compose("{column} = null", column=c) for c in left_over),
        ]
        updated = within.execute(
            compose(
                _UPDATE,
                table=table(plan.target),
                values=join(", ", assignments),
                lsn=name(LSN),
                committed_at=name(COMMITTED_AT),
                same_key=same_key(events),
                differs=join(" or ", differs),
            )
        )
    missing = compose(_MISSING, table=table(plan.target), same_key=same_key(events))
    return Changes(insert_incoming(within, events, plan.target, missing), updated)


def _value(events: Events, position: int, unresolved: tuple[int, ...]) -> Sql:
    received = events.encodings[position].receive(column(position, of="i"))
    if position not in unresolved:
        return received
    return compose(
        "case when {flag} then {held} else {received} end",
        flag=column(position, "u", "i"),
        held=_held(events, position),
        received=received,
    )


def _differs(events: Events, values: dict[int, Sql]) -> Sql:
    held = join(", ", (_held(events, i) for i in values))
    # Without the casts PostgreSQL would look for *<> on each column instead of on the records.
    new = join(", ", values.values())
    return compose("row({held})::record *<> row({new})::record", held=held, new=new)


def same_key(events: Events, prefix: str = "c") -> Sql:
    """True where staging's row (s) has the key that `incoming` (i) names."""
    pairs = (
        compose(
            "{held} = {loaded}",
            held=_held(events, i),
            loaded=events.encodings[i].receive(column(i, prefix, "i")),
        )
        for i in events.key
    )
    return join(" and ", pairs)


def _held(events: Events, position: int) -> Sql:
    return compose("s.{column}", column=_name(events, position))


def _name(events: Events, position: int) -> Sql:
    return name(events.shape.columns[position].name)


def no_base(events: Events, rows: int) -> TableQuarantined:
    """The refusal of a table of which nobody has values that production did not log."""
    columns = ", ".join(events.shape.columns[i].name for i in events.flagged)
    return quarantined(
        events.window.table,
        f"{rows} rows have values that production did not log ({columns}) and staging never had",
    )
