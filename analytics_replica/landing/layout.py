"""Where landed things are, and how they get there without ever being half there.

Here: paths inside landing, and the store that writes a file so that it exists whole or not at all.
Not here: what a manifest says (manifest.py), what a Parquet file holds (parquet.py).

Layout: `manifests/<sequence>.json`, `data/<schema>/<table>/<sequence>-<part>.parquet`; names of
schemas and tables are percent-encoded, so every legal identifier is a legal path. On an object
store each file's name ends with letters of its own: two writers never write the same file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from fsspec.implementations.local import LocalFileSystem

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import (
    AlreadyRunning,
    LandingBroken,
    LandingError,
)
from analytics_replica.landing.disk import disk_errors, fsync
from analytics_replica.landing.locks import Locks
from analytics_replica.landing.points import Reached, unheard
from analytics_replica.landing.remote import (
    CHUNK_BYTES,
    is_missing_bucket,
    private_directory,
    reach,
    store_errors,
    upload_options,
)
from analytics_replica.settings.load import Settings

MANIFESTS: Final = "manifests"
DATA: Final = "data"
LOCK: Final = "capture.lock"
AT_ONCE: Final = 16
"""Requests to an object store that wait side by side: each takes a round trip."""
PROBE: Final = "conditional-write"
"""Shows on an object store that what is there cannot be made a second time."""
UNFINISHED: Final = "unfinished"
"""Files that are being written; whatever is left here after a crash is thrown away."""
FOLDING: Final = "folding"
"""The same of a fold, which runs beside captures: each of the two sweeps its own folder."""


def manifest_path(sequence: int) -> str:
    """Where the manifest of this batch is, relative to landing."""
    return f"{MANIFESTS}/{sequence:010d}.json"


def data_path(table: TableName, sequence: int, part: int) -> str:
    """Where a file of this batch is, relative to landing."""
    schema, name = (quote(p, safe="").replace(".", "%2E") for p in (table.schema, table.name))
    return f"{DATA}/{schema}/{name}/{sequence:010d}-{part:03d}.parquet"


def data_pattern(sequence: int) -> str:
    """Matches the files of this batch, of all tables, relative to landing."""
    return f"{DATA}/*/*/{sequence:010d}-*.parquet"


@dataclass(frozen=True)
class Store(Locks):
    """Landing's files behind one URL: the local disk, or anything that fsspec knows.

    A path is either complete or absent: local files are written beside, fsynced and renamed with
    their directory fsynced; object stores make an object visible when its upload ends. `options`
    are fsspec's for this store; they may hold credentials, so no text shows them.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """Landing as the settings have it."""
        return cls(settings.landing_url, settings.landing_options)

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem of the URL."""
        return reach(self.url, self.options)[0]

    @property
    def local(self) -> Path | None:
        """Landing's directory if it is on a local disk, else None."""
        filesystem, path = reach(self.url, self.options)
        return Path(path) if isinstance(filesystem, LocalFileSystem) else None

    @property
    def home(self) -> Path:
        """Where locks and unfinished files are: in landing, or private beside an object store."""
        return self.local or private_directory(self.url)

    def full(self, path: str) -> str:
        """The path as the filesystem wants it."""
        return f"{reach(self.url, self.options)[1].rstrip('/')}/{path}"

    def data_path(self, table: TableName, sequence: int, part: int) -> str:
        """Where a new file of this batch goes, relative to landing."""
        path = data_path(table, sequence, part)
        if self.local is not None:
            return path
        return path.replace(".parquet", f"-{uuid.uuid4().hex[:12]}.parquet")

    def exists(self, path: str) -> bool:
        """True if this path is there, complete."""
        with self.errors(f"looking for {path}"):
            return bool(self.filesystem.exists(self.full(path)))

    def read(self, path: str) -> bytes:
        """The bytes of this path; LandingBroken if it is not there."""
        with self.errors(f"reading {path}"):
            try:
                return bytes(self.filesystem.cat_file(self.full(path)))
            except FileNotFoundError as cause:
                if is_missing_bucket(cause):
                    raise
                raise _missing(path) from None

    def read_some(self, paths: Sequence[str]) -> list[bytes | None]:
        """The bytes of each path, several at once; None where it is not there."""

        def read(path: str) -> bytes | None:
            try:
                return self.read(path)
            except LandingBroken:
                return None

        with ThreadPoolExecutor(1 if self.local is not None else AT_ONCE) as readers:
            return list(readers.map(read, paths))

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[Any]:
        """The file at this path, to be read in any order; LandingBroken if it is not there."""
        with self.errors(f"reading {path}"):
            try:
                file = self.filesystem.open(self.full(path))
            except FileNotFoundError as cause:
                if is_missing_bucket(cause):
                    raise
                raise _missing(path) from None
            with file:
                yield file

    def fingerprint(self, path: str) -> tuple[int, str]:
        """Size and SHA-256 of this path, read piece by piece; LandingBroken if it is not there."""
        digest, size = hashlib.sha256(), 0
        with self.opened(path) as file:
            while piece := file.read(CHUNK_BYTES):
                digest.update(piece)
                size += len(piece)
        return size, digest.hexdigest()

    def names(self, folder: str) -> list[str]:
        """The names of the files in this folder of landing, sorted; empty if it is not there."""
        with self.errors("reading landing"):
            try:
                found = self.filesystem.ls(self.full(folder), detail=False)
            except FileNotFoundError as cause:
                if is_missing_bucket(cause):
                    raise
                return []
        return sorted(str(path).rsplit("/", 1)[-1] for path in found)

    def matching(self, pattern: str) -> list[str]:
        """The paths in landing that match this pattern, relative to landing, sorted."""
        root = len(self.full(""))
        with self.errors("reading landing"):
            return sorted(str(path)[root:] for path in self.filesystem.glob(self.full(pattern)))

    def unfinished(self, among: str = UNFINISHED) -> Path:
        """A new local path to write a file at before it is published."""
        with disk_errors("preparing landing"):
            folder = self.home / among
            folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    def publish(
        self, written: Path, path: str, *, exclusive: bool = False, reached: Reached = unheard
    ) -> None:
        """Moves a complete local file to its place; afterwards it survives a crash.

        With `exclusive`, LandingError if the path is already there: two writers can never both
        believe that theirs is the one.
        """
        base = self.local
        if base is None:
            self._upload(written, path, exclusive=exclusive)
            reached("rename")
            return
        with disk_errors(f"landing {path}"):
            target = base / path
            target.parent.mkdir(parents=True, exist_ok=True)
            fsync(written)
            reached("fsync")
            if exclusive:
                try:
                    os.link(written, target)
                except FileExistsError:
                    raise _taken(path) from None
                written.unlink()
            else:
                written.replace(target)
            fsync(target.parent)
            reached("rename")

    def _upload(self, written: Path, path: str, *, exclusive: bool) -> None:
        mode = "create" if exclusive else "overwrite"
        with self.errors(f"landing {path}"):
            try:
                self.filesystem.put_file(
                    str(written), self.full(path), mode=mode, **upload_options(self.url)
                )
            except FileExistsError:
                # The driver tries again when an answer is lost: what is there may be ours.
                if self.read(path) != written.read_bytes():
                    raise _taken(path) from None
            written.unlink()

    def remove(self, path: str) -> None:
        """Removes this path; nothing if it is not there."""
        with self.errors(f"removing {path}"), contextlib.suppress(FileNotFoundError):
            self.filesystem.rm_file(self.full(path))

    def require_exclusive(self) -> None:
        """LandingError if this object store lets a second writer replace what a first one made.

        One small object tells: to make it when it is there must be refused.
        """
        if self.local is not None:
            return
        with self.errors("trying to land"):
            for _ in range(2):
                try:
                    self.filesystem.pipe_file(self.full(PROBE), b"", mode="create")
                except FileExistsError:
                    return
        raise LandingError(
            what="This object store ignores that an object may not be replaced (If-None-Match).",
            why="Two captures could both believe that a batch is theirs.",
            next="Land on a store that honours conditional writes, or on a local disk.",
        )

    @contextlib.contextmanager
    def one_writer(self) -> Iterator[None]:
        """Holds landing for one writer on this machine; AlreadyRunning if another has it.

        The system frees it when we die. Behind an object store a writer on another machine is kept
        out by the slot, which has one reader, and by the manifests' exclusive creation.
        """
        with self.held(LOCK) as held:
            if not held:
                raise AlreadyRunning(
                    what="Another capture writes to this landing.",
                    why="Two writers must not mix batches, so this one stopped at once.",
                    next="Wait for it to end, then capture again.",
                )
            self.require_exclusive()
            yield

    def sweep(self, among: str = UNFINISHED) -> None:
        """Removes what crashed writers left unfinished. Only for the one writer to call."""
        for left in (self.home / among).glob("*"):
            left.unlink(missing_ok=True)

    def errors(self, doing: str) -> contextlib.AbstractContextManager[None]:
        """Turns what the disk or the object store refuses into our errors."""
        return store_errors(doing) if self.local is None else disk_errors(doing)


def _missing(path: str) -> LandingBroken:
    return LandingBroken(
        what=f"{path} is missing from landing.",
        why="A batch without all of its files cannot be applied or replayed.",
        next="Restore the file from a backup of landing, or copy the affected tables "
        "again with `analytics-replica capture --first-copy`.",
    )


def _taken(path: str) -> LandingError:
    return LandingError(
        what=f"{path} is already there.",
        why="Another capture published this batch; two writers must not mix.",
        next="Let only one capture write to this landing.",
    )
