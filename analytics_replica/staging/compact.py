"""Compaction: the last state of every key among the landed events of one table.

Here: a window's events as one relation in DuckDB, what voids them, and which of them are last.
Not here: values that production did not log (lineage.py), tables without a key (multiset.py),
changing staging (merge.py).

Events are ordered by (LSN, ordinal), written as one number: `place`. In the relation, the shape's
columns are c0, c1, … and their unchanged flags u0, u1, …, so that no name can clash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from analytics_replica.domain.batches import (
    COMMITTED_AT,
    EXACT_PREFIX,
    LSN,
    OP,
    ORDINAL,
    UNCHANGED_PREFIX,
)
from analytics_replica.domain.lsn import Lsn
from analytics_replica.postgres.identifiers import (
    Sql,
    column_label,
    compose,
    join,
    literal,
    name,
    number,
)
from analytics_replica.staging.encoding import Encoding, encoding_of
from analytics_replica.staging.shapes import Shape, ShapeColumn
from analytics_replica.staging.windows import Window
from analytics_replica.staging.workbench import Workbench

ORDINALS: Final = 2**40
"""`place` is LSN × this + ordinal: more ordinals than any transaction or copy has rows."""

_EVENTS: Final = """
-- the events that count: not contained in staging yet, wanted, and after the last truncation
create or replace temp view events as
select {op} as op, {place} as place, {lsn}::bigint as lsn, {committed_at} as committed_at {columns}
from {files}
where {lsn} >= {floor} and {place} > {void} {until}
"""

_TRUNCATED_AT: Final = """
select max({place}) from {files} where {op} = 't' and {lsn} >= {floor} {until}
"""

_LATEST: Final = """
-- one row for each key: its last event, whether it leaves a row, and whether the key is new
create or replace temp table latest as
select max(place) as place,
       arg_max(op, place) <> 'd' as live,
       arg_min(op, place) in ('i', 'm') as fresh
from events
group by {key}
"""


_STATES: Final = """
create or replace temp view states as
select e.*, l.live, l.fresh
from events e join latest l using (place)
"""


@dataclass(frozen=True)
class Events:
    """The events of a window as the relation `events` in a workbench.

    `void` says that nothing of staging's rows is left before these events: a copy or a truncation.
    `encodings` follow the shape's columns.
    """

    bench: Workbench
    window: Window
    shape: Shape
    void: bool
    encodings: tuple[Encoding, ...]

    @cached_property
    def key(self) -> tuple[int, ...]:
        """The positions of the key's columns."""
        return tuple(i for i, c in enumerate(self.shape.columns) if c.key)

    @cached_property
    def flagged(self) -> tuple[int, ...]:
        """The positions of columns that have an unchanged flag."""
        return tuple(i for i, c in enumerate(self.shape.columns) if c.unchanged)


def open_events(
    bench: Workbench, window: Window, shape: Shape, *, truncated: bool = False
) -> Events:
    """The window's events, ready to be asked. Replaces those of the workbench's last table.

    `truncated`: also the truncations (op t) and what they made void.
    """
    files = bench.files([file.path for file in window.files])
    truncated_at = None
    # The rows of a copy stand one byte before its position.
    floor = window.floor.value - (1 if window.copied_at is not None else 0)
    system = _system(files, floor, window.ceiling)
    if not truncated and any(file.truncates for file in window.files):
        query = {key: system[key] for key in ("place", "files", "op", "lsn", "floor", "until")}
        truncated_at = bench.scalar(compose(_TRUNCATED_AT, **query))
    columns = join("", _read_columns(shape))
    void = number(-1 if truncated_at is None else truncated_at)
    bench.execute(compose(_EVENTS, **system, columns=columns, void=void))
    landed = bench.types(compose("select * from events"))
    encodings = tuple(
        encoding_of(column.staging_type, landed[f"c{i}"], column.wire, column.renamed)
        for i, column in enumerate(shape.columns)
    )
    voided = window.copied_at is not None or truncated_at is not None
    return Events(bench, window, shape, voided, encodings)


def find_latest(events: Events) -> None:
    """Makes the table `latest`: place, live, fresh; one row for each key."""
    events.bench.execute(compose(_LATEST, key=columns_of(events.key)))


def make_states(events: Events) -> None:
    """Makes the view `states`: the last event of each key, with `live` and `fresh`."""
    events.bench.execute(compose(_STATES))


def column(position: int, prefix: str = "c", of: str | None = None) -> Sql:
    """The column for the shape's column at this position, of this relation if one is given."""
    label = name(f"{prefix}{position}")
    return label if of is None else compose("{of}.{label}", of=name(of), label=label)


def columns_of(positions: Iterable[int], prefix: str = "c", of: str | None = None) -> Sql:
    """The columns at these positions, with commas between them."""
    return join(", ", (column(i, prefix, of) for i in positions))


def any_of(positions: Iterable[int], prefix: str, of: str | None = None) -> Sql:
    """True if one of these flags is set; false if there are none."""
    return join(" or ", (compose("false"), *(column(i, prefix, of) for i in positions)))


def _system(files: Sql, floor: int, ceiling: Lsn | None) -> dict[str, Sql]:
    lsn, ordinal = name(LSN), name(ORDINAL)
    until = compose("")
    if ceiling is not None:
        until = compose("and {lsn} < {ceiling}", lsn=lsn, ceiling=number(ceiling.value))
    place = compose(
        "{lsn}::hugeint * {n} + {ordinal}", lsn=lsn, n=number(ORDINALS), ordinal=ordinal
    )
    return {
        "files": files,
        "op": name(OP),
        "lsn": lsn,
        "place": place,
        "committed_at": name(COMMITTED_AT),
        "floor": number(floor),
        "until": until,
    }


def _read_columns(shape: Shape) -> Iterable[Sql]:
    for i, described in enumerate(shape.columns):
        yield compose(", {value} as {label}", value=_value(described), label=column(i))
        if described.unchanged:
            flag = column_label(UNCHANGED_PREFIX + described.name)
            label = name(f"u{i}")
            yield compose(", coalesce({flag}, false) as {label}", flag=flag, label=label)


def _value(described: ShapeColumn) -> Sql:
    value = column_label(described.name)
    if described.renamed and described.wire:
        pairs = (
            compose(" when {old} then {new}", old=literal(old), new=literal(new))
            for old, new in described.renamed
        )
        return compose("case {value}{pairs} else {value} end", value=value, pairs=join("", pairs))
    if not described.exact:
        return value
    exact = column_label(EXACT_PREFIX + described.name)
    return compose("coalesce({exact}, {value}::varchar)", exact=exact, value=value)
