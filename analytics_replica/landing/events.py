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
    last = _filled(rows, table)
    moved = _moved(rows, last, table)
    left = moved[rows.before.rows]
    left_rows = rows.before.rows[left]
    truncates = np.array(pending.truncates, np.int64).reshape(-1, 2)
    texts = [
        _joined(_left_texts(rows.before, left, table, c), last.texts[c], len(truncates))
        for c in range(len(table.columns))
    ]
    return _batch(
        seal,
        texts,
        unchanged=[_padded(len(left_rows), flags, len(truncates)) for flags in last.unchanged],
        ops=np.concatenate(
            (
                np.full(len(left_rows), _DELETED),
                _last_ops(rows, moved, keyless=not table.key),
                np.full(len(truncates), _TRUNCATED),
            )
        ),
        lsns=np.concatenate((lsns[left_rows], lsns, truncates[:, 0])),
        ordinals=np.concatenate((ordinals[left_rows], ordinals + moved, truncates[:, 1])),
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
    """The last images: updates with unchanged values from their old image where that has them.

    A delete of a table with a key keeps nothing but the key, also where the log has more.
    """
    before, last = rows.before, rows.last
    deleted = rows.kinds == DELETE
    only_key = deleted.any() and bool(table.key) and table.identity is Identity.FULL
    if not only_key and not any(flags.any() for flags in last.unchanged):
        return last
    # Position in the old image of every message that has one; others point at a NULL behind it.
    place = np.full(len(rows.kinds), len(before.rows), np.int64)
    place[before.rows] = np.arange(len(before.rows))
    has_old = place < len(before.rows)
    texts, unchanged = list(last.texts), [flags & ~deleted for flags in last.unchanged]
    for c, column in enumerate(table.columns):
        known = unchanged[c] & has_old
        if known.any() and (column.key or table.identity is Identity.FULL):
            padded = pa.concat_arrays([before.texts[c], pa.nulls(1, pa.string())])
            texts[c] = pc.if_else(pa.array(known), padded.take(pa.array(place)), texts[c])
            unchanged[c] = unchanged[c] & ~known
        if only_key and not column.key:
            texts[c] = pc.if_else(pa.array(deleted), None, texts[c])
    return Image(last.rows, tuple(texts), tuple(unchanged))


def _moved(rows: Rows, last: Image, table: Table) -> Flags:
    """Which messages are updates that changed the key (without a key: every update)."""
    moved = np.zeros(len(rows.kinds), np.bool_)
    updates = rows.before.rows
    if not len(updates):
        return moved
    if not table.key:
        moved[updates] = True
        return moved
    for c, column in enumerate(table.columns):
        if column.key:
            same = pc.equal(rows.before.texts[c], last.texts[c].take(pa.array(updates)))
            moved[updates] |= ~pc.fill_null(same, fill_value=False).to_numpy(zero_copy_only=False)
    return moved


def _left_texts(before: Image, left: Flags, table: Table, c: int) -> pa.Array:
    """What is known of the rows that updates moved away."""
    if table.key and not table.columns[c].key:
        return pa.nulls(int(left.sum()), pa.string())
    return before.texts[c].filter(pa.array(left))


def _last_ops(rows: Rows, moved: Flags, *, keyless: bool) -> Codes:
    if keyless:
        return np.where(rows.kinds == DELETE, _DELETED, _INSERTED)
    changed = np.where(rows.kinds == DELETE, _DELETED, np.where(moved, _MOVED, _UPDATED))
    return np.where(rows.kinds == INSERT, _INSERTED, changed)


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
