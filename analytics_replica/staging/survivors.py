"""Which rows of a table are left of its landed events, written anew as files of a base.

Here: one table of a fold. Not here: which batches are folded (fold.py), last states (compact.py,
lineage.py, multiset.py), how the files get their place (landing.folding).

It stands above landing because it replays events exactly as an apply would: a base is what a
rebuild of staging from these events would load, no more and no less. Every row keeps the position
of its last event. Rows stay in the shape (columns, treatments) in which that event came, so staging
still knows which rows are older than a treatment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import pyarrow as pa

from analytics_replica.domain.batches import (
    EXACT_PREFIX,
    LSN,
    OP,
    ORDINAL,
    UNCHANGED_PREFIX,
    BatchKind,
    LandedFile,
    Op,
)
from analytics_replica.domain.lsn import Lsn
from analytics_replica.landing.folding import (
    BaseFiles,
    base_schema,
    physical_schema,
    unpublished_part,
)
from analytics_replica.landing.manifest import verify_file
from analytics_replica.postgres.identifiers import (
    Sql,
    column_label,
    compose,
    join,
    literal,
    name,
    number,
)
from analytics_replica.staging.chosen import choose
from analytics_replica.staging.compact import (
    ORDINALS,
    Events,
    column,
    open_events,
)
from analytics_replica.staging.shapes import shape_of
from analytics_replica.staging.windows import Part, Window
from analytics_replica.staging.workbench import Workbench

_PLACE: Final = "_replica_place"
_FILE: Final = "_replica_file"
"""Labels that no column of production can have."""

CARRIED_BYTES: Final = 8 * 2**20
"""A file of this size of which every row is left stays as it is; smaller ones are put together."""

_WHOLE: Final = """
-- files of which every row is left
select r.{file}, count(*)
from (select {file}, {place} as {label} from {files}) r join chosen c on r.{label} = c.place
group by r.{file}
"""

_ROWS: Final = """
select {columns}
from (select *, {place} as {label} from {files}) r
join (select *, unnest(range(copies)) as copy from chosen) c on r.{label} = c.place
{supplies}
order by c.place, c.copy
"""

_SUPPLY: Final = """
left join (select {place} as {label}, {values} from {files}) {alias} on {alias}.{label} = c.{at}
"""


@dataclass(frozen=True)
class _Epoch:
    """Files of one shape that follow each other; `since` is where the first of them begins."""

    parts: tuple[Part, ...]
    since: Lsn

    @property
    def files(self) -> tuple[LandedFile, ...]:
        return tuple(part.file for part in self.parts)


@dataclass(frozen=True)
class Survivors:
    """The files of a base for one table, oldest shape first; see Folded.since."""

    files: tuple[LandedFile, ...]
    since: tuple[tuple[str, Lsn], ...]


def survivors(bench: Workbench, window: Window, sequence: int) -> Survivors:
    """Writes what is left of these events as files of batch `sequence` that no manifest names yet.

    Files that lose no row stay. TableQuarantined or ColumnNarrowed if the events cannot be
    replayed, LandingBroken if a file is not what was landed.
    """
    epochs = _epochs(window)
    if all(part.kind is BatchKind.COPY for part in window.parts):
        return _described([(epoch, epoch.files) for epoch in epochs])  # nothing happened to it
    for file in window.files:
        verify_file(bench.store, file)
    events = open_events(bench, window, shape_of(window))
    numbered = choose(events)
    carried = set() if numbered else _whole_files(events)
    part = unpublished_part(bench.store, window.files[-1], sequence)
    written: list[tuple[_Epoch, list[LandedFile]]] = []
    for epoch in epochs:
        kept = [file for file in epoch.files if file.path in carried]
        rest = [file for file in epoch.files if file.path not in carried and file.rows]
        schema = _schema(bench, rest or epoch.files)
        into = BaseFiles(bench.store, sequence, part, epoch.files[-1], schema)
        if rest:
            first = 1 + sum(file.rows for _, files in written for file in files)
            query = _rows(events, into.schema, rest, first if numbered else None)
            for rows in bench.reader(query):
                into.write(rows)
        made = into.finish(even_empty=not kept)
        part += len(made)
        written.append((epoch, [*kept, *made]))
    return _described(written)


def _described(written: Sequence[tuple[_Epoch, Sequence[LandedFile]]]) -> Survivors:
    return Survivors(
        tuple(file for _, files in written for file in files),
        tuple((file.path, epoch.since) for epoch, files in written[1:] for file in files),
    )


def _epochs(window: Window) -> list[_Epoch]:
    def shape(part: Part) -> tuple[Any, ...]:
        columns = ((c.column, c.treatment, c.staging_type) for c in part.file.columns)
        return (tuple(columns), part.file.oid, part.file.flaw)

    groups = (tuple(parts) for _, parts in groupby(window.parts, key=shape))
    return [_Epoch(parts, parts[0].from_lsn) for parts in groups]


def _whole_files(events: Events) -> set[str]:
    """The files that can stay: large, nothing but rows, and every one of them is left."""
    large = {
        file.path: file.rows
        for file in events.window.files
        if file.bytes >= CARRIED_BYTES
        and file.inserts == file.rows
        and not any(column.unchanged_rows for column in file.columns)
    }
    if not large:
        return set()
    named = compose(", filename => {label}", label=literal(_FILE))
    query = compose(
        _WHOLE,
        file=name(_FILE),
        label=name(_PLACE),
        place=_place(),
        files=events.bench.files(list(large), options=named),
    )
    left = events.bench.rows(query)
    return {
        path
        for path, rows in large.items()
        if any(found.endswith(f"/{path}") and count == rows for found, count in left)
    }


def _schema(bench: Workbench, files: Sequence[LandedFile]) -> pa.Schema:
    return base_schema(physical_schema(bench.store, file.path) for file in files)


def _rows(
    events: Events, schema: pa.Schema, files: Sequence[LandedFile], numbers: int | None
) -> Sql:
    """The rows of these files that are left; counted from `numbers` on, if it is given."""
    supplied = {
        described.name: position
        for position, described in enumerate(events.shape.columns)
        if position in events.flagged and UNCHANGED_PREFIX + described.name in schema.names
    }
    everything = events.bench.files([file.path for file in events.window.files])
    columns = (_column(label, events, supplied, numbers) for label in schema.names)
    return compose(
        _ROWS,
        columns=join(", ", columns),
        label=name(_PLACE),
        place=_place(),
        files=events.bench.files([file.path for file in files]),
        supplies=join("", (_supply(events, everything, n, i) for n, i in supplied.items())),
    )


def _column(label: str, events: Events, supplied: Mapping[str, int], numbers: int | None) -> Sql:
    plain = label.removeprefix(EXACT_PREFIX)
    if label == OP:
        value = literal(Op.INSERT.value)
    elif label == ORDINAL and numbers is not None:
        # Equal rows come from one event: a number tells them apart, as in a copy.
        value = compose("row_number() over (order by c.place, c.copy) + {n}", n=number(numbers - 1))
    elif label.startswith(UNCHANGED_PREFIX):
        value = compose("false")
    elif plain not in supplied or not (label == plain or _is_exact(events, supplied[plain])):
        value = compose("r.{label}", label=column_label(label))
    else:
        value = compose(
            "case when r.{flag} and c.{p} is not null then {s}.{label} else r.{label} end",
            p=column(supplied[plain], "p"),
            flag=column_label(UNCHANGED_PREFIX + plain),
            s=column(supplied[plain], "s"),
            label=column_label(label),
        )
    return compose("{value} as {label}", value=value, label=column_label(label))


def _is_exact(events: Events, position: int) -> bool:
    return events.shape.columns[position].exact


def _supply(events: Events, files: Sql, label: str, position: int) -> Sql:
    labels = [label]
    if _is_exact(events, position):
        labels.append(EXACT_PREFIX + label)
    return compose(
        _SUPPLY,
        place=_place(),
        label=name(_PLACE),
        values=join(", ", map(column_label, labels)),
        files=files,
        alias=column(position, "s"),
        at=column(position, "p"),
    )


def _place() -> Sql:
    return compose(
        "{lsn}::hugeint * {n} + {ordinal}",
        lsn=name(LSN),
        n=number(ORDINALS),
        ordinal=name(ORDINAL),
    )
