"""What landing says a table is, replayed event by event; knows nothing of staging's code.

Here: DuckDB reads the files that the manifests name, by (LSN, ordinal); the events are executed on
rows of texts. Not here: production's side (support/comparison.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb

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
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.postgres.identifiers import column_label

Row = tuple[str | None, ...]


def replayed(store: Store, table: TableName, columns: Sequence[str]) -> Counter[Row]:
    """The table's rows after all landed events, as texts of these columns.

    Its newest copy voids what was before the copy's position S: the copy's rows, which stand right
    before S, and the events from S on, whichever batch they came in, are the table.
    """
    batches = [m for m in manifests(store) if any(f.table == table for f in m.files)]
    copy = [m for m in batches if m.kind is BatchKind.COPY][-1]
    later = [m for m in batches if m.kind is BatchKind.STREAM and m.to_lsn > copy.to_lsn]
    files = [f for m in (copy, *later) for f in m.files if f.table == table]
    key = [columns.index(c.column.name) for c in files[-1].key]
    rows: dict[Row, Row] = {}
    many: Counter[Row] = Counter()
    moved: Row = ()
    for op, values, unchanged in _events(store, files, columns, copy.to_lsn.value - 1):
        if op == Op.TRUNCATE:
            rows.clear()
            many.clear()
        elif not key:
            many[values] += -1 if op == Op.DELETE else 1
            assert many[values] >= 0, f"{table}: a row was deleted that was not there"
        elif op == Op.DELETE:
            moved = rows.pop(_of(key, values))
        else:
            at = _of(key, values)
            assert (at in rows) == (op == Op.UPDATE), f"{table}: {op} of a row, wrongly there"
            base = rows[at] if op == Op.UPDATE else moved
            taken = zip(values, unchanged, range(len(values)), strict=True)
            rows[at] = tuple(base[i] if kept else value for value, kept, i in taken)
    return +many if not key else Counter(rows.values())


def _of(key: Sequence[int], values: Row) -> Row:
    return tuple(values[position] for position in key)


def _events(
    store: Store, files: Sequence[LandedFile], columns: Sequence[str], begin: int
) -> Iterable[tuple[str, Row, tuple[bool, ...]]]:
    paths = [store.full(file.path) for file in files]
    with duckdb.connect() as connection:
        source = "read_parquet($1, union_by_name => true)"
        shown = connection.execute(f"describe select * from {source}", [paths]).fetchall()
        there = {name for name, *_ in shown}
        texts = ", ".join(_text(column, there) for column in columns)
        flags = ", ".join(_flag(column, there) for column in columns)
        events: list[tuple[Any, ...]] = connection.execute(
            f"select {OP}, {texts}, {flags} from {source} where {LSN} >= {begin} "
            f"order by {LSN}, {ORDINAL}",
            [paths],
        ).fetchall()
    width = len(columns)
    for op, *rest in events:
        yield op, tuple(rest[:width]), tuple(rest[width:])


def _text(column: str, there: set[str]) -> str:
    value = f"cast({column_label(column)} as varchar)"
    exact = EXACT_PREFIX + column
    return f"coalesce({column_label(exact)}, {value})" if exact in there else value


def _flag(column: str, there: set[str]) -> str:
    unchanged = UNCHANGED_PREFIX + column
    return f"coalesce({column_label(unchanged)}, false)" if unchanged in there else "false"
