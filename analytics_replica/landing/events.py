"""From collected row messages to sealed events: what a landed file holds.

Here: old and new images become events (insert, update, delete, move, truncate), sealed before
anything else sees them. Not here: decoding (source.columnar), masks (masking), files (parquet.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.domain.batches import LSN, ORDINAL, Op
from analytics_replica.domain.tables import Identity, Table
from analytics_replica.landing.parquet import file_schema, has_exact, has_unchanged
from analytics_replica.masking.seal import TableSeal
from analytics_replica.source.columnar import Image, Rows, decode_rows
from analytics_replica.source.pending import Pending
from analytics_replica.source.pgoutput import DELETE, INSERT

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

_OPS: Final = pa.array([op.value for op in Op], pa.string())
_INSERTED, _UPDATED, _DELETED, _MOVED, _TRUNCATED = np.arange(len(Op), dtype=np.int8)
"""Positions in `_OPS`, in the order of Op."""


def sealed_events(
    pending: Pending, table: Table, seal: TableSeal, commit_times: Mapping[int, datetime]
) -> pa.RecordBatch:
    """The events in these messages, sealed, in the schema of the table's files.

    `table` is the relation with its real key (of a FULL identity the log flags every column).
    Order: (LSN, ordinal). Every message gives one event, a changed key two. The texts that were
    decoded do not outlive the call.
    """
    rows = decode_rows(pending.messages, len(table.columns))
    main = _filled(rows, table)
    moved, deleted = _moved(rows, main, table), rows.kinds == DELETE
    texts = main.texts
    if table.key and table.identity is Identity.FULL and deleted.any():
        there = pa.array(~deleted)
        texts = tuple(
            text if column.key else pc.if_else(there, text, None)
            for column, text in zip(table.columns, texts, strict=True)
        )
    lsns, ordinals = pending.marks, pending.ordinals
    events = _Events(
        texts,
        tuple(flags & ~deleted if flags.any() else flags for flags in main.unchanged),
        _ops(rows, moved, keyless=not table.key),
        lsns,
        ordinals + moved,
    )
    if moved.any() or pending.truncates:
        gone = rows.before.rows[moved[rows.before.rows]]
        old = _keys_only(rows.before, moved, table)
        deletes = _Events.without_flags(old, _DELETED, lsns[gone], ordinals[gone])
        at = np.array(pending.truncates, np.int64).reshape(-1, 2)
        nothing = [pa.nulls(len(at), pa.string()) for _ in table.columns]
        truncates = _Events.without_flags(nothing, _TRUNCATED, at[:, 0], at[:, 1])
        return _in_order(_batch(seal, events.and_then(deletes, truncates), commit_times))
    return _batch(seal, events, commit_times)


def copied_rows(
    texts: Sequence[pa.Array], seal: TableSeal, lsn: int, first_ordinal: int
) -> pa.RecordBatch:
    """Rows of a first copy as sealed insert events at `lsn`, numbered from `first_ordinal`."""
    count = len(texts[0])
    ordinals = np.arange(first_ordinal, first_ordinal + count, dtype=np.int64)
    events = _Events.without_flags(texts, _INSERTED, np.full(count, lsn, np.int64), ordinals)
    return _batch(seal, events, {})


@dataclass(frozen=True)
class _Events:
    """Events before the seal; `unchanged` and `texts` by column, the others by event."""

    texts: Sequence[pa.Array]
    unchanged: Sequence[Flags]
    ops: Codes
    lsns: Ints
    ordinals: Ints

    @classmethod
    def without_flags(
        cls, texts: Sequence[pa.Array], op: np.int8, lsns: Ints, ordinals: Ints
    ) -> _Events:
        """Events of one kind whose values are all known."""
        known = np.zeros(len(lsns), np.bool_)
        return cls(texts, [known for _ in texts], np.full(len(lsns), op), lsns, ordinals)

    def and_then(self, *others: _Events) -> _Events:
        """These and the others, one behind the other."""
        every = (self, *others)
        return _Events(
            [pa.concat_arrays(parts) for parts in zip(*(e.texts for e in every), strict=True)],
            [np.concatenate(parts) for parts in zip(*(e.unchanged for e in every), strict=True)],
            np.concatenate([e.ops for e in every]),
            np.concatenate([e.lsns for e in every]),
            np.concatenate([e.ordinals for e in every]),
        )


def _filled(rows: Rows, table: Table) -> Image:
    """The main images, with unchanged values taken from the old image where that has them."""
    old, main = rows.before, rows.main
    if not len(old.rows) or not any(flags.any() for flags in main.unchanged):
        return main
    # Position in the old image of every message that has one; others point at a NULL behind it.
    place = np.full(len(rows.kinds), len(old.rows), np.int64)
    place[old.rows] = np.arange(len(old.rows))
    source, has_old = pa.array(place), place < len(old.rows)
    texts, unchanged = list(main.texts), list(main.unchanged)
    for c, column in enumerate(table.columns):
        known = unchanged[c] & has_old
        if known.any() and (column.key or table.identity is Identity.FULL):
            padded = pa.concat_arrays([old.texts[c], pa.nulls(1, pa.string())])
            texts[c] = pc.if_else(pa.array(known), padded.take(source), texts[c])
            unchanged[c] = unchanged[c] & ~known
    return Image(main.rows, tuple(texts), tuple(unchanged))


def _moved(rows: Rows, main: Image, table: Table) -> Flags:
    """Which messages are updates that changed the key (without a key: every update)."""
    moved = np.zeros(len(rows.kinds), np.bool_)
    updates = rows.before.rows
    if not len(updates):
        return moved
    if not table.key:
        moved[updates] = True
        return moved
    at = pa.array(updates)
    for c, column in enumerate(table.columns):
        if column.key:
            same = pc.equal(rows.before.texts[c], main.texts[c].take(at))
            moved[updates] |= ~pc.fill_null(same, fill_value=False).to_numpy(zero_copy_only=False)
    return moved


def _keys_only(before: Image, moved: Flags, table: Table) -> list[pa.Array]:
    """The old images of the moved rows: their keys, without a key all of them."""
    kept = pa.array(moved[before.rows])
    return [
        text.filter(kept)
        if column.key or not table.key
        else pa.nulls(int(moved[before.rows].sum()), pa.string())
        for column, text in zip(table.columns, before.texts, strict=True)
    ]


def _ops(rows: Rows, moved: Flags, *, keyless: bool) -> Codes:
    changed = _INSERTED if keyless else np.where(moved, _MOVED, _UPDATED)
    written = np.where(rows.kinds == INSERT, _INSERTED, changed)
    return np.where(rows.kinds == DELETE, _DELETED, written)


def _in_order(events: pa.RecordBatch) -> pa.RecordBatch:
    order = np.lexsort((events.column(ORDINAL).to_numpy(), events.column(LSN).to_numpy()))
    return events.take(pa.array(order))


def _batch(
    seal: TableSeal, events: _Events, commit_times: Mapping[int, datetime]
) -> pa.RecordBatch:
    columns: list[pa.Array] = [
        _OPS.take(pa.array(events.ops)),
        pa.array(events.lsns),
        pa.array(events.ordinals),
        _times(events.lsns, commit_times),
    ]
    for position, sealed in enumerate(seal.apply(events.texts)):
        columns.append(sealed.values)
        if has_exact(seal, position):
            exact = sealed.exact
            columns.append(pa.nulls(len(events.ops), pa.string()) if exact is None else exact)
        if has_unchanged(seal, position):
            columns.append(pa.array(events.unchanged[seal.source_index[position]]))
    return pa.RecordBatch.from_arrays(columns, schema=file_schema(seal))


def _times(lsns: Ints, commit_times: Mapping[int, datetime]) -> pa.Array:
    kind = pa.timestamp("us", "UTC")
    if not commit_times:
        return pa.nulls(len(lsns), kind)
    # Runs of one transaction, found without sorting.
    first = np.flatnonzero(np.diff(lsns, prepend=-1))
    times = pa.array([commit_times.get(int(lsn)) for lsn in lsns[first]], kind)
    return times.take(pa.array(np.repeat(np.arange(len(first)), np.diff(first, append=len(lsns)))))
