"""What a fold does to landing: its lock, its files, and the removal of what a base stands for.

Here: keeping folds, copies and each other apart, writing the files of a base, removing older
batches. Not here: which rows are left (staging.fold, which can compact events).

Order of effects: files → the base's manifest in the place of the last folded batch (one rename) →
removal, oldest first. After a crash anywhere landing is as before the fold or as after it, and the
next fold removes what is left over. Captures go on meanwhile: they only add batches.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from analytics_replica.domain.batches import EXACT_PREFIX, LandedFile
from analytics_replica.errors import AlreadyRunning
from analytics_replica.landing.anew import SET_ASIDE
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import DATA, FOLDING, Store, manifest_path
from analytics_replica.landing.manifest import manifests, sequences
from analytics_replica.landing.parquet import COMPRESSION_LEVEL, DICTIONARIES, SYSTEM_FIELDS
from analytics_replica.landing.points import Reached

LOCK: Final = "fold.lock"
"""Held while older batches are replaced, and for moments by whoever must not meet that."""

FILE_BYTES: Final = 256 * 2**20
"""Rows that a file of a base holds at most, uncompressed: what a later fold rewrites at least."""


@contextlib.contextmanager
def one_folder(store: Store) -> Iterator[None]:
    """Lets older batches be replaced by one process at a time; AlreadyRunning for another.

    What crashed folds left unfinished is removed.
    """
    with store.held(LOCK) as held:
        if not held:
            raise AlreadyRunning(
                what="Landing's older batches are just being folded, or a copy joins them.",
                why="Two must not change them at once, so this one stopped.",
                next="Wait for it to end, then start again.",
            )
        store.sweep(FOLDING)
        yield


@contextlib.contextmanager
def not_folded(store: Store, *, wait: bool) -> Iterator[bool]:
    """Keeps folds away until the block ends; gives False if one runs and `wait` is not wanted."""
    with store.held(LOCK, wait=wait) as held:
        yield held


@dataclass
class BaseFiles:
    """Writes rows of one table in one shape to files of a base, and publishes them.

    `like` is a file of this shape; `schema` is what such files hold. Paths are new ones of the
    batch `sequence`, counted from `part` on. No manifest names them yet.
    """

    store: Store
    sequence: int
    part: int
    like: LandedFile
    schema: pa.Schema
    files: list[LandedFile] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None
    _target: Path | None = None
    _rows: int = 0
    _bytes: int = 0
    _exact: Counter[str] = field(default_factory=Counter)

    def write(self, rows: pa.RecordBatch) -> None:
        """Appends rows that have the schema's columns, in any type that can be cast to it."""
        if not rows.num_rows:
            return
        if rows.nbytes > FILE_BYTES and rows.num_rows > 1:
            half = rows.num_rows // 2  # 32-bit offsets of texts reach 2 GB
            self.write(rows.slice(0, half))
            self.write(rows.slice(half))
            return
        arrays = [
            rows.column(name).cast(self.schema.field(name).type) for name in self.schema.names
        ]
        with disk_errors(f"folding {self.like.table}"):
            self._open().write_batch(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        for name, values in zip(self.schema.names, arrays, strict=True):
            if name.startswith(EXACT_PREFIX):
                self._exact[name.removeprefix(EXACT_PREFIX)] += len(values) - values.null_count
        if self._bytes >= FILE_BYTES:
            self._finish()

    def finish(self, *, even_empty: bool) -> list[LandedFile]:
        """Completes the files; without rows there is one if `even_empty`, for its shape."""
        if self._writer is not None or (even_empty and not self.files):
            self._finish()
        return self.files

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._target = self.store.unfinished(FOLDING)
            self._writer = pq.ParquetWriter(
                self._target,
                self.schema,
                compression="zstd",
                compression_level=COMPRESSION_LEVEL,
                use_dictionary=DICTIONARIES,
            )
        return self._writer

    def _finish(self) -> None:
        with disk_errors(f"folding {self.like.table}"):
            self._open().close()
        target = self._target or Path()
        with target.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        path = self.store.data_path(self.like.table, self.sequence, self.part)
        columns = tuple(
            replace(column, exact_rows=self._exact[column.column.name], unchanged_rows=0)
            for column in self.like.columns
        )
        self.files.append(
            replace(
                self.like,
                path=path,
                columns=columns,
                rows=self._rows,
                bytes=target.stat().st_size,
                sha256=sha256,
                inserts=self._rows,
                updates=0,
                deletes=0,
                truncates=0,
            )
        )
        self.store.publish(target, path)
        self._writer, self._rows, self._bytes, self._exact = None, 0, 0, Counter()
        self.part += 1


def base_schema(physical: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of a base's file: those of files of one shape, joined."""
    fields: dict[str, pa.Field] = {known.name: known for known in SYSTEM_FIELDS}
    for schema in physical:
        for found in schema:
            fields.setdefault(found.name, found)
    return pa.schema(list(fields.values()))


def unpublished_part(store: Store, file: LandedFile, sequence: int) -> int:
    """The first number of a part of this batch that no file of the table has."""
    folder = file.path.rsplit("/", 1)[0]
    taken = [name for name in store.names(folder) if name.startswith(f"{sequence:010d}-")]
    parts = [name.removesuffix(".parquet").split("-")[1] for name in taken]
    return max((int(part) for part in parts if part.isdecimal()), default=0) + 1


def remove_folded(store: Store, reached: Reached) -> tuple[int, int, int]:
    """Removes everything that the newest base stands for; batches, files and bytes removed.

    Also what was set aside before it, and files of its numbers that nothing names: crashed folds
    and captures left them. Nothing without a base. Repeatable.
    """
    bases = [m.sequence for m in manifests(store) if m.folded is not None]
    if not bases:
        return 0, 0, 0
    base = bases[-1]
    older = [number for number in sequences(store) if number < base]
    for number in older:
        reached("remove")
        store.remove(manifest_path(number))
    aside = [name for name in store.names(SET_ASIDE) if name.isdecimal() and int(name) <= base]
    for name in aside:
        with store.errors("removing what was set aside"):
            store.filesystem.rm(store.full(f"{SET_ASIDE}/{name}"), recursive=True)
    named = {file.path for m in manifests(store) for file in (*m.files, *m.beside)}
    files = size = 0
    for path in store.matching(f"{DATA}/*/*/*.parquet"):
        written_for = _number_of(path)
        if path in named or written_for is None or written_for > base:
            continue
        reached("remove")
        with store.errors(f"looking at {path}"):
            size += int(store.filesystem.size(store.full(path)))
        store.remove(path)
        files += 1
    return len(older), files, size


def _number_of(path: str) -> int | None:
    stem = path.rsplit("/", 1)[-1].partition("-")[0]
    return int(stem) if stem.isdecimal() else None


def physical_schema(store: Store, path: str) -> pa.Schema:
    """The columns that a landed file really has."""
    with store.opened(path) as opened:
        return pq.read_schema(opened).remove_metadata()
