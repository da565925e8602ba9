"""One batch in the making: its open files, and the moment it becomes real.

Here: the order of effects: files (invisible), manifest (now the batch exists); the slot is
confirmed only after that, by whoever called. Not here: where events come from (capture.py,
initial_copy.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

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
from analytics_replica.landing.layout import Store, data_path
from analytics_replica.landing.manifest import publish_manifest
from analytics_replica.landing.parquet import TableWriter
from analytics_replica.masking.seal import TableSeal


@dataclass(frozen=True)
class Origin:
    """What every manifest of one capture says of where it came from."""

    source: SourceIdentity
    slot: SlotState
    policy: str
    catalog: Catalog | None = None


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
    _open: dict[TableName, TableWriter] = field(default_factory=dict)
    _complete: list[TableWriter] = field(default_factory=list)

    def writer(self, table: TableName, seal: TableSeal) -> TableWriter:
        """The writer for this table in this shape."""
        current = self._open.get(table)
        if current is not None and current.seal.same_file(seal):
            return current
        if current is not None:
            self._complete.append(current)
        writer = TableWriter(table, seal, self.store.unfinished())
        self._open[table] = writer
        return writer

    def publish(
        self,
        kind: BatchKind,
        from_lsn: Lsn,
        to_lsn: Lsn,
        *,
        transactions: int,
        last_commit_at: datetime | None,
        now: datetime,
        reached: Callable[[str], None] = lambda _: None,
    ) -> tuple[Manifest, str]:
        """Makes the batch exist; returns its manifest and the digest the next one must name.

        `reached` hears the name of each point between two effects (crash tests stop there).
        """
        reached("before files")
        files = self._publish_files()  # 1. complete files that no manifest names
        reached("before manifest")
        manifest = Manifest(
            sequence=self.sequence,
            kind=kind,
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
            catalog=self.origin.catalog,
        )
        digest = publish_manifest(self.store, manifest)  # 2. now the batch exists
        reached("before confirm")
        return manifest, digest

    def discard(self) -> None:
        """Removes what was written; the batch never existed."""
        for writer in (*self._complete, *self._open.values()):
            writer.discard()

    def _publish_files(self) -> tuple[LandedFile, ...]:
        parts: dict[TableName, int] = {}
        files = []
        for writer in (*self._complete, *self._open.values()):
            part = parts[writer.table] = parts.get(writer.table, 0) + 1
            file = writer.finish(data_path(writer.table, self.sequence, part))
            self.store.publish(writer.target, file.path)
            files.append(file)
        return tuple(files)
