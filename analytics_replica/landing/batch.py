"""One batch in the making: its open files, and the moment it becomes real.

Here: the order of effects: files (invisible), manifest (now the batch exists); the slot is
confirmed only after that, by whoever called. Not here: where events come from (capture.py,
initial_copy.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pyarrow as pa

from analytics_replica.domain.batches import (
    BatchKind,
    Catalog,
    LandedFile,
    Manifest,
    SlotState,
    SourceIdentity,
)
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.beside import BesideSeal
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import publish_manifest
from analytics_replica.landing.parquet import TableWriter
from analytics_replica.landing.points import Reached, unheard
from analytics_replica.masking.seal import TableSeal

HELD_BYTES: Final = 48 * 2**20
"""What all tables together may hold in memory on the way to their files."""


@dataclass(frozen=True)
class Origin:
    """What every manifest of one capture says of where it came from."""

    source: SourceIdentity
    slot: SlotState
    policy: str
    publications: tuple[str, ...] = ()
    incomplete: tuple[TableName, ...] = ()
    emptied: frozenset[TableName] = frozenset()
    published: tuple[tuple[TableName, str], ...] = ()
    catalog: Catalog | None = None
    keys: tuple[tuple[str, str], ...] = ()
    definitions: str = ""


@dataclass
class BatchInProgress:
    """A batch that nobody can see yet. Give it events, then `publish` or `discard`.

    `previous` is the digest of the manifest before. A table whose shape changed on the way gets
    another file, so a file has one shape.
    """

    store: Store
    sequence: int
    previous: str
    origin: Origin
    reached: Reached = unheard
    _open: dict[tuple[TableName, type[TableSeal]], TableWriter] = field(default_factory=dict)
    _complete: list[TableWriter] = field(default_factory=list)

    def write(self, table: TableName, seal: TableSeal, events: pa.RecordBatch) -> None:
        """Adds events of this table in this shape; what is held in memory stays bounded."""
        self._writer(table, seal).write(events)
        if sum(writer.held_bytes for writer in self._open.values()) > HELD_BYTES:
            for writer in self._open.values():
                writer.flush()

    def _writer(self, table: TableName, seal: TableSeal) -> TableWriter:
        current = self._open.get((table, type(seal)))
        if current is not None and current.seal.same_file(seal):
            return current
        if current is not None:
            current.flush()
            self._complete.append(current)
        writer = TableWriter(table, seal, self.store.unfinished())
        self._open[table, type(seal)] = writer
        return writer

    def publish(
        self,
        from_lsn: Lsn,
        to_lsn: Lsn,
        *,
        transactions: int,
        last_commit_at: datetime | None,
        now: datetime,
    ) -> tuple[Manifest, str]:
        """Makes the batch exist; returns its manifest and the digest the next one must name."""
        files, beside = self._publish_files()  # 1. complete files that no manifest names
        self.reached("manifest")
        manifest = Manifest(
            sequence=self.sequence,
            kind=BatchKind.STREAM,
            from_lsn=from_lsn,
            to_lsn=to_lsn,
            source=self.origin.source,
            slot=self.origin.slot,
            policy=self.origin.policy,
            files=files,
            transactions=transactions,
            last_commit_at=last_commit_at,
            captured_at=now,
            previous=self.previous,
            incomplete=self._incomplete(files),
            published=self.origin.published,
            catalog=self.origin.catalog,
            keys=self.origin.keys,
            beside=beside,
            definitions=self.origin.definitions,
        )
        digest = publish_manifest(self.store, manifest)  # 2. now the batch exists
        self.reached("confirm")
        return manifest, digest

    def discard(self) -> None:
        """Removes what was written; the batch never existed."""
        for writer in (*self._complete, *self._open.values()):
            writer.discard()

    def _incomplete(self, files: tuple[LandedFile, ...]) -> tuple[TableName, ...]:
        # A TRUNCATE that the log tells explains partitions that were emptied.
        truncated = {file.table for file in files if file.truncates}
        whole = truncated & self.origin.emptied
        return tuple(table for table in self.origin.incomplete if table not in whole)

    def _publish_files(self) -> tuple[tuple[LandedFile, ...], tuple[LandedFile, ...]]:
        """The files of the batch, and those with the same events under the next key."""
        parts: dict[TableName, int] = {}
        files: list[LandedFile] = []
        beside: list[LandedFile] = []
        for writer in (*self._complete, *self._open.values()):
            part = parts[writer.table] = parts.get(writer.table, 0) + 1
            file = writer.finish(self.store.data_path(writer.table, self.sequence, part))
            self.reached("file written")
            self.store.publish(writer.target, file.path, reached=self.reached)
            (beside if isinstance(writer.seal, BesideSeal) else files).append(file)
        return tuple(files), tuple(beside)
