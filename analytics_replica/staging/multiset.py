"""Tables without a key: exact multisets, by net counts of equal rows.

Here: how many copies of each row the events add or remove, and bringing staging there. Not here:
keyed tables (merge.py).

Two rows are equal if all their columns print equally; after masks that is all that staging knows.
"""

from __future__ import annotations

from typing import Final

from analytics_replica.postgres.identifiers import compose, join, name, table
from analytics_replica.staging.compact import Events, any_of, column, columns_of
from analytics_replica.staging.incoming import drop_incoming, load_incoming, load_rows, received
from analytics_replica.staging.merge import Changes
from analytics_replica.staging.plans import Plan
from analytics_replica.staging.quarantine import TableQuarantined, quarantined
from analytics_replica.staging.warehouse import Transaction

_NET: Final = """
-- each different row with the copies that these events leave: more, or fewer than before
create or replace temp table net as
select {columns}, (count_if(op <> 'd') - count_if(op = 'd'))::bigint as copies,
       coalesce(max(lsn) filter (where op <> 'd'), max(lsn)) as lsn,
       max(place) filter (where op <> 'd') as place,
       arg_max(committed_at, place) filter (where op <> 'd') as committed_at
from events
group by {columns} {signs}
having copies <> 0
"""

_ADDED: Final = "(select *, unnest(range(copies)) as copy from net where copies > 0)"

_REMOVED: Final = "(select *, unnest(range(-copies)) as copy from net where copies < 0)"

_DELETE: Final = """
-- as many copies of each row as were deleted, whichever they are: they are equal
delete from {table}
where ctid = any(array(
    select held.ctid
    from (
        select s.ctid, gone.copies, row_number() over (partition by gone.image) as number
        from (
            select row({received})::text as image, count(*) as copies
            from pg_temp.incoming i
            group by 1
        ) gone
        join {table} s on row({held})::text = gone.image
    ) held
    where held.number <= held.copies
))
"""


def merge_multiset(within: Transaction, events: Events, plan: Plan) -> Changes:
    """Brings the table to the multiset after these events.

    TableQuarantined if rows were deleted that staging does not have, or an event does not carry
    its whole row; what was changed so far must then be rolled back.
    """
    if events.window.inserts_only and (plan.create or not events.void):
        return Changes(inserted=load_rows(within, events, plan.target, compose("events")))
    removed = count_copies(events)
    begins_empty = plan.create or events.void
    deleted = 0
    if events.void and not plan.create:
        deleted = within.execute(compose("delete from {table}", table=table(plan.target)))
    if removed and begins_empty:
        raise _not_there(events, removed)
    if removed:
        deleted += _remove(within, events, plan)
    return Changes(load_rows(within, events, plan.target, compose(_ADDED)), 0, deleted)


def count_copies(events: Events) -> int:
    """Makes the table `net`: each different row, with the `copies` that the events add or remove.

    Returns how many rows lose copies; TableQuarantined if an event does not carry its whole row.
    `place` is of the last event that brought the row.
    """
    _require_whole_rows(events)
    everything = range(len(events.shape.columns))
    signs = (compose(", signbit({c})", c=column(i)) for i in _floats(events))
    events.bench.execute(compose(_NET, columns=columns_of(everything), signs=join("", signs)))
    return int(events.bench.scalar(compose("select count(*) from net where copies < 0")))


def _remove(within: Transaction, events: Events, plan: Plan) -> int:
    wanted = load_incoming(within, events, compose(_REMOVED))
    held = (name(c.name) for c in events.shape.columns)
    deleted = within.execute(
        compose(
            _DELETE,
            table=table(plan.target),
            held=join(", ", (compose("s.{column}", column=c) for c in held)),
            received=received(events),
        )
    )
    drop_incoming(within)
    if deleted != wanted:
        raise _not_there(events, wanted - deleted)
    return deleted


def _require_whole_rows(events: Events) -> None:
    flagged = any_of(events.flagged, "u")
    query = compose("select count(*) from events where op = 'u' or {flagged}", flagged=flagged)
    partial = events.bench.scalar(query)
    if partial:
        raise quarantined(
            events.window.table,
            f"{partial} changes of a table without a key do not carry the whole row",
            "Give the table `replica identity full` on production, then copy it again.",
        )


def _floats(events: Events) -> list[int]:
    # DuckDB groups -0 with 0; PostgreSQL prints them differently.
    kinds = {"real", "double precision"}
    return [
        i
        for i, (described, encoding) in enumerate(
            zip(events.shape.columns, events.encodings, strict=True)
        )
        if described.staging_type in kinds and encoding.direct
    ]


def _not_there(events: Events, rows: int) -> TableQuarantined:
    return quarantined(
        events.window.table, f"{rows} rows were deleted on production that staging does not have"
    )
