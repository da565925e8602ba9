"""Sealed rows of transactions that production sends before they are committed.

Here: keeping them on disk until the transaction commits (then they join its batch) or aborts (then
they never happened). Not here: following transactions (source.transactions). Only sealed events
come here, so a spilled file holds nothing that landing may not hold; it is private, and gone after
a crash when the next capture begins (Store.sweep).

Until the commit is known, the LSN column holds the id of the (sub-)transaction, which may still
abort on its own, and the commit time is NULL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from analytics_replica.domain.batches import COMMITTED_AT, LSN, ORDINAL
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.beside import BesideSeal, plain
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import Store
from analytics_replica.landing.points import Reached
from analytics_replica.masking.seal import TableSeal
from analytics_replica.source.pgoutput import StreamCommit

_READ: Final = pa.ipc.IpcReadOptions(use_threads=False)
"""Each thread of Arrow's pool keeps memory of its own."""


@dataclass
class _Waiting:
    """Events of one table in one shape, in a file of Arrow batches."""

    table: TableName
    seal: TableSeal
    path: Path
    writer: pa.RecordBatchFileWriter


@dataclass
class Spill:
    """What open transactions did so far, sealed, on the disk beside landing."""

    store: Store
    reached: Reached
    _waiting: dict[int, list[_Waiting]] = field(default_factory=dict)

    def write(self, xid: int, table: TableName, seal: TableSeal, events: pa.RecordBatch) -> None:
        """Keeps these events of an open transaction."""
        with disk_errors(f"keeping a transaction's changes of {table}"):
            self._of(xid, table, seal, events.schema).writer.write_batch(events)
        self.reached("spill")

    def joined(
        self, commit: StreamCommit, without: Collection[int]
    ) -> Iterator[tuple[TableName, TableSeal, pa.RecordBatch]]:
        """The committed transaction's events in order, without those of the aborted parts."""
        aborted = np.fromiter(without, np.int64, len(without))
        for waiting in self._waiting.get(commit.xid, ()):
            with disk_errors(f"joining a transaction's changes of {waiting.table}"):
                waiting.writer.close()
                # Not a memory map: its pages would count as ours (450 MB for two million rows).
                with pa.OSFile(str(waiting.path)) as kept:
                    reader = pa.ipc.open_file(kept, options=_READ)
                    for number in range(reader.num_record_batches):
                        events = _committed(reader.get_batch(number), commit, aborted)
                        if events.num_rows:
                            yield waiting.table, waiting.seal, events
        self.drop(commit.xid)

    def drop(self, xid: int) -> None:
        """Forgets the transaction and removes its files."""
        for waiting in self._waiting.pop(xid, ()):
            _remove(waiting)

    def drop_all(self) -> None:
        """Forgets every transaction: the log sends again what was not landed."""
        for xid in list(self._waiting):
            self.drop(xid)

    def go_on_under_next_key(self) -> None:
        """What lies beside takes the place of what the old masking key sealed, which is removed.

        Whoever may change the key has sealed these tables twice since the stream began.
        """
        for xid, every in self._waiting.items():
            twice = {w.table for w in every if isinstance(w.seal, BesideSeal)}
            kept = []
            for waiting in every:
                if waiting.table in twice and not isinstance(waiting.seal, BesideSeal):
                    _remove(waiting)
                else:
                    kept.append(replace(waiting, seal=plain(waiting.seal)))
            self._waiting[xid] = kept

    def holds(self, xid: int) -> bool:
        """True if events of this transaction wait here."""
        return xid in self._waiting

    def _of(self, xid: int, table: TableName, seal: TableSeal, schema: pa.Schema) -> _Waiting:
        all_of_it = self._waiting.setdefault(xid, [])
        # Only the newest shape of a table goes on: an older one may come back, and order counts.
        side = (table, type(seal))
        newest = next((w for w in reversed(all_of_it) if (w.table, type(w.seal)) == side), None)
        if newest is not None and newest.seal.same_file(seal):
            return newest
        path = self.store.unfinished()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        writer = pa.ipc.new_file(str(path), schema, options=options)
        all_of_it.append(_Waiting(table, seal, path, writer))
        return all_of_it[-1]


def _remove(waiting: _Waiting) -> None:
    # On a full disk the end cannot be written; the file is about to be removed anyway.
    with contextlib.suppress(OSError):
        waiting.writer.close()
    waiting.path.unlink(missing_ok=True)


def _committed(
    events: pa.RecordBatch,
    commit: StreamCommit,
    aborted: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> pa.RecordBatch:
    marks = events.column(LSN).to_numpy()
    events = events.filter(pa.array(~np.isin(marks, aborted)))
    count = events.num_rows
    columns = dict(zip(events.schema.names, events.columns, strict=True))
    columns[LSN] = pa.array(np.full(count, commit.commit_lsn.value, np.int64))
    columns[COMMITTED_AT] = pa.array(
        [commit.committed_at], events.schema.field(COMMITTED_AT).type
    ).take(pa.array(np.zeros(count, np.int64)))
    joined = pa.RecordBatch.from_arrays(list(columns.values()), schema=events.schema)
    return joined.take(pa.array(np.argsort(columns[ORDINAL].to_numpy(), kind="stable")))
