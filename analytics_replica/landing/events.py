"""From collected row messages to sealed events: what a landed file holds.

Here: old and new images become events (insert, update, delete, move, truncate), sealed before
anything else sees them. Not here: decoding (source.columnar), masks (masking), files (parquet.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.domain.batches import Op
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
    lsns, ordinals = pending.marks, pending.ordinals
    old, new = rows.old, _filled(rows, table)
    moved = _moved(rows, new, table)
    gone = (rows.kinds == DELETE) | moved
    old_kept = gone[old.rows]
    truncates = np.array(pending.truncates, np.int64).reshape(-1, 2)
    texts = [
        _joined(_old_texts(old, old_kept, table, c), new.texts[c], len(truncates))
        for c in range(len(table.columns))
    ]
    old_rows = old.rows[old_kept]
    is_moved = moved[new.rows]
    return _batch(
        seal,
        texts,
        unchanged=[_padded(len(old_rows), flags, len(truncates)) for flags in new.unchanged],
        ops=np.concatenate(
            (
                np.full(len(old_rows), _DELETED),
                _new_ops(rows, new, is_moved, keyless=not table.key),
                np.full(len(truncates), _TRUNCATED),
            )
        ),
        lsns=np.concatenate((lsns[old_rows], lsns[new.rows], truncates[:, 0])),
        ordinals=np.concatenate(
            (ordinals[old_rows], ordinals[new.rows] + is_moved, truncates[:, 1])
        ),
        commit_times=commit_times,
    )


def copied_rows(
    texts: Sequence[pa.Array], seal: TableSeal, lsn: int, first_ordinal: int
) -> pa.RecordBatch:
    """Rows of a first copy as sealed insert events at `lsn`, numbered from `first_ordinal`."""
    count = len(texts[0])
    return _batch(
        seal,
        texts,
        unchanged=[np.zeros(count, np.bool_) for _ in texts],
        ops=np.full(count, _INSERTED),
        lsns=np.full(count, lsn, np.int64),
        ordinals=np.arange(first_ordinal, first_ordinal + count, dtype=np.int64),
        commit_times={},
    )


def _filled(rows: Rows, table: Table) -> Image:
    """The new images, with unchanged values taken from the old image where that has them."""
    old, new = rows.old, rows.new
    if not len(old.rows) or not any(flags.any() for flags in new.unchanged):
        return new
    # Position in the old image of every message that has one; others point at a NULL behind it.
    place = np.full(len(rows.kinds), len(old.rows), np.int64)
    place[old.rows] = np.arange(len(old.rows))
    source = pa.array(place[new.rows])
    has_old = place[new.rows] < len(old.rows)
    texts, unchanged = list(new.texts), list(new.unchanged)
    for c, column in enumerate(table.columns):
        known = unchanged[c] & has_old
        if known.any() and (column.key or table.identity is Identity.FULL):
            padded = pa.concat_arrays([old.texts[c], pa.nulls(1, pa.string())])
            texts[c] = pc.if_else(pa.array(known), padded.take(source), texts[c])
            unchanged[c] = unchanged[c] & ~known
    return Image(new.rows, tuple(texts), tuple(unchanged))


def _moved(rows: Rows, new: Image, table: Table) -> Flags:
    """Which messages are updates that changed the key (without a key: every update)."""
    moved = np.zeros(len(rows.kinds), np.bool_)
    updates = np.intersect1d(rows.old.rows, new.rows)
    if not len(updates):
        return moved
    if not table.key:
        moved[updates] = True
        return moved
    at_old = pa.array(np.searchsorted(rows.old.rows, updates))
    at_new = pa.array(np.searchsorted(new.rows, updates))
    for c, column in enumerate(table.columns):
        if column.key:
            same = pc.equal(rows.old.texts[c].take(at_old), new.texts[c].take(at_new))
            moved[updates] |= ~pc.fill_null(same, fill_value=False).to_numpy(zero_copy_only=False)
    return moved


def _old_texts(old: Image, kept: Flags, table: Table, c: int) -> pa.Array:
    if table.key and not table.columns[c].key:
        return pa.nulls(int(kept.sum()), pa.string())
    return old.texts[c].filter(pa.array(kept))


def _new_ops(rows: Rows, new: Image, moved: Flags, *, keyless: bool) -> Codes:
    inserted = rows.kinds[new.rows] == INSERT
    if keyless:
        inserted = np.ones_like(inserted)
    return np.where(inserted, _INSERTED, np.where(moved, _MOVED, _UPDATED))


def _joined(old: pa.Array, new: pa.Array, truncates: int) -> pa.Array:
    if not len(old) and not truncates:
        return new
    return pa.concat_arrays([old, new, pa.nulls(truncates, pa.string())])


def _padded(before: int, flags: Flags, after: int) -> Flags:
    return np.concatenate((np.zeros(before, np.bool_), flags, np.zeros(after, np.bool_)))


def _batch(
    seal: TableSeal,
    texts: Sequence[pa.Array],
    *,
    unchanged: Sequence[Flags],
    ops: Codes,
    lsns: Ints,
    ordinals: Ints,
    commit_times: Mapping[int, datetime],
) -> pa.RecordBatch:
    columns: list[pa.Array] = [
        _OPS.take(pa.array(ops)),
        pa.array(lsns),
        pa.array(ordinals),
        _times(lsns, commit_times),
    ]
    for position, sealed in enumerate(seal.apply(texts)):
        columns.append(sealed.values)
        if has_exact(seal, position):
            exact = sealed.exact
            columns.append(pa.nulls(len(ops), pa.string()) if exact is None else exact)
        if has_unchanged(seal, position):
            columns.append(pa.array(unchanged[seal.source_index[position]]))
    batch = pa.RecordBatch.from_arrays(columns, schema=file_schema(seal))
    order = np.lexsort((ordinals, lsns))
    if (np.diff(order) == 1).all():
        return batch
    return batch.take(pa.array(order))


def _times(lsns: Ints, commit_times: Mapping[int, datetime]) -> pa.Array:
    kind = pa.timestamp("us", "UTC")
    if not commit_times:
        return pa.nulls(len(lsns), kind)
    # Runs of one transaction, found without sorting.
    first = np.flatnonzero(np.diff(lsns, prepend=-1))
    times = pa.array([commit_times.get(int(lsn)) for lsn in lsns[first]], kind)
    return times.take(pa.array(np.repeat(np.arange(len(first)), np.diff(first, append=len(lsns)))))
