"""Loading rows: into a staging table itself where COPY can, else through a temporary table.

Here: the temporary table `incoming` and both ways of loading. Not here: what is done with changed
rows in it (merge.py, multiset.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from analytics_replica.domain.batches import COMMITTED_AT, LSN
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, join, name, names, table
from analytics_replica.staging.compact import Events, column, columns_of
from analytics_replica.staging.warehouse import Transaction

INCOMING: Final = "incoming"

_CREATE: Final = "create temporary table incoming ({columns})"

_DROP: Final = "drop table pg_temp.incoming"

_SENT: Final = "select {columns}, r.lsn as {lsn}, r.committed_at as {committed_at} from {rows} as r"

_INSERT: Final = """
insert into {table} ({columns}, {lsn}, {committed_at})
select {values}, i.lsn, i.committed_at
from pg_temp.incoming i
"""


def load_rows(within: Transaction, events: Events, target: TableName, rows: Sql) -> int:
    """Appends these rows (a relation with c…, lsn, committed_at) to the table; returns how many.

    No row may have a key that the table has: COPY cannot choose.
    """
    if all(encoding.direct for encoding in events.encodings):
        labels = [name(c.name) for c in events.shape.columns]
        query = compose(
            _SENT,
            columns=sent(events, labels),
            lsn=name(LSN),
            committed_at=name(COMMITTED_AT),
            rows=rows,
        )
        return within.load(events.bench.reader(query), target.name, target.schema)
    load_incoming(within, events, rows)
    inserted = insert_incoming(within, events, target)
    drop_incoming(within)
    return inserted


def load_incoming(
    within: Transaction,
    events: Events,
    rows: Sql,
    *,
    flags: Sequence[str] = (),
    flagged: Sequence[int] = (),
) -> int:
    """Makes `incoming` of these rows: c…, lsn, committed_at and these flags.

    For `flagged` columns it has u… (the value is staging's), and then b… for the key of the row
    that has it. The planner knows how many rows it has.
    """
    bases = events.key if flagged else ()
    encodings = events.encodings
    definitions = [
        *((column(i), e.loaded) for i, e in enumerate(encodings)),
        *((column(i, "b"), encodings[i].loaded) for i in bases),
        *((column(i, "u"), compose("boolean")) for i in flagged),
        *((name(flag), compose("boolean")) for flag in flags),
        (name("lsn"), compose("pg_lsn")),
        (name("committed_at"), compose("timestamp with time zone")),
    ]
    within.execute(compose(_CREATE, columns=_pairs(definitions)))
    columns = [
        sent(events, [column(i) for i in range(len(encodings))]),
        *(_sent_base(events, i) for i in bases),
        *(column(i, "u", "r") for i in flagged),
        *(compose("r.{flag}", flag=name(flag)) for flag in flags),
    ]
    query = compose(
        _SENT,
        columns=join(", ", columns),
        lsn=name("lsn"),
        committed_at=name("committed_at"),
        rows=rows,
    )
    loaded = within.load(events.bench.reader(_by_key(events, query)), INCOMING, None)
    within.execute("analyze pg_temp.incoming")
    return loaded


def insert_incoming(
    within: Transaction, events: Events, target: TableName, condition: Sql | None = None
) -> int:
    """Inserts the rows of `incoming` (alias i) for which the condition holds; returns how many."""
    statement = compose(
        _INSERT,
        table=table(target),
        columns=names(c.name for c in events.shape.columns),
        values=received(events),
        lsn=name(LSN),
        committed_at=name(COMMITTED_AT),
    )
    if condition is not None:
        statement = compose("{insert} {condition}", insert=statement, condition=condition)
    return within.execute(statement)


def drop_incoming(within: Transaction) -> None:
    """Drops `incoming`, so that the next table may have one."""
    within.execute(_DROP)


def sent(events: Events, labels: Iterable[Sql]) -> Sql:
    """The columns of the relation r as they are sent, under these labels."""
    parts = (
        compose("{value} as {label}", value=encoding.send(column(i, of="r")), label=label)
        for i, (encoding, label) in enumerate(zip(events.encodings, labels, strict=True))
    )
    return join(", ", parts)


def received(events: Events) -> Sql:
    """Staging's values of all columns of `incoming` (alias i), with commas."""
    encodings = enumerate(events.encodings)
    return join(", ", (e.receive(column(position, of="i")) for position, e in encodings))


def _by_key(events: Events, query: Sql) -> Sql:
    # In the order of the key the rows of a large table are found page by page.
    if not events.key:
        return query
    return compose("{query} order by {key}", query=query, key=columns_of(events.key, of="r"))


def _sent_base(events: Events, position: int) -> Sql:
    value = events.encodings[position].send(column(position, "b", "r"))
    return compose("{value} as {label}", value=value, label=column(position, "b"))


def _pairs(definitions: Iterable[tuple[Sql, Sql]]) -> Sql:
    return join(", ", (compose("{name} {type}", name=n, type=t) for n, t in definitions))
