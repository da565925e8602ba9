"""What happened between two positions, by the landed events.

Here: the keys that were touched, or for tables without a key the rows that came and went. Not
here: what is made of them (against_copy.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest, manifests, verify_file
from analytics_replica.landing.silence import silent_upto
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.reconciliation.cells import HeldColumn
from analytics_replica.staging.reconciliation.lookup3 import Hashes, Ints
from analytics_replica.staging.reconciliation.replayed import Replay
from analytics_replica.staging.reconciliation.sums import Rows, Sums
from analytics_replica.staging.windows import Part, Window
from analytics_replica.staging.workbench import Workbench


@dataclass(frozen=True)
class Between:
    """The landed events of one table from `low` up to, not with, `high`; None if there are none."""

    replay: Replay | None
    high: Lsn

    def rows(self, sign: int, take: Callable[[Rows], None]) -> None:
        """Hands over the rows that came (copies: `sign`) and went (copies: -`sign`)."""
        if self.replay is not None:
            self.replay.changes(
                self.high, lambda rows: take(Rows(rows.columns, rows.count, _signed(rows, sign)))
            )

    def names(self, sums: Sums) -> Hashes:
        """The names of all rows that were touched, sorted, each once."""
        found: list[Hashes] = [np.zeros(0, np.uint64)]
        self.rows(1, lambda rows: found.append(sums.names(rows)))
        return np.unique(np.concatenate(found))


def landed_upto(store: Store) -> Lsn | None:
    """How far landing knows what production committed; None if it is empty."""
    newest = last_manifest(store)
    if newest is None:
        return None
    manifest, digest = newest
    return max(manifest.position, silent_upto(store, digest) or manifest.position)


def between(
    bench: Workbench, table: TableName, held: tuple[HeldColumn, ...], low: Lsn, high: Lsn
) -> Between:
    """The events between these positions.

    TableQuarantined if landing does not hold all of them any more, or if they cannot be told row by
    row (a TRUNCATE, a copy, a change without its whole row).
    """
    stream = _stream(bench.store, table, low, high)
    parts = tuple(
        Part(file, batch.kind, batch.from_lsn, batch.to_lsn)
        for batch in stream
        for file in batch.files
        if file.table == table
    )
    if not parts:
        return Between(None, high)
    for part in parts:
        verify_file(bench.store, part.file)
    window = Window(table, parts, low, None, complete=True)
    if any(file.truncates for file in window.files):
        raise quarantined(table, f"it was truncated near {low} to {high}")
    if not window.files[-1].key and any(file.updates for file in window.files) and window.unchanged:
        raise quarantined(table, "changes of it do not carry the whole row")
    return Between(Replay(bench, window, held), high)


def _stream(store: Store, table: TableName, low: Lsn, high: Lsn) -> Sequence[Manifest]:
    if low == high:
        return ()
    newest = landed_upto(store)
    if newest is None or newest < high:
        raise quarantined(table, f"landing ends at {newest}, before {high}")
    found = list(manifests(store))
    if any(m.folded is not None and m.position > low for m in found):
        raise quarantined(table, f"the changes from {low} on are folded already")
    stream = [m for m in found if m.kind is BatchKind.STREAM and m.to_lsn > low]
    if stream and stream[0].from_lsn > low:
        raise quarantined(table, f"landing does not hold the changes from {low} on")
    return [m for m in stream if m.from_lsn < high]


def _signed(rows: Rows, sign: int) -> Ints:
    copies = np.ones(rows.count, np.int64) if rows.copies is None else rows.copies
    return copies * sign
