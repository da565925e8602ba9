"""Where landed things are, and how they get there without ever being half there.

Here: paths inside landing, and the store that writes a file so that it exists whole or not at all.
Not here: what a manifest says (manifest.py), what a Parquet file holds (parquet.py).

Layout: `manifests/<sequence>.json`, `data/<schema>/<table>/<sequence>-<part>.parquet`; names of
schemas and tables are percent-encoded, so every legal identifier is a legal path.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import (
    AlreadyRunning,
    LandingBroken,
    LandingError,
    LandingFull,
)
from analytics_replica.landing.points import Reached, unheard

MANIFESTS: Final = "manifests"
DATA: Final = "data"
LOCK: Final = "capture.lock"
FOLLOWER: Final = "follow.lock"
"""Held for as long as a follower runs; `LOCK` is held by whoever writes."""
WANTED: Final = "land-now"
"""Is there while somebody waits for a follower to land the present."""
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
class Store:
    """Landing's files behind one URL: the local disk, or anything that fsspec knows.

    A path is either complete or absent: local files are written beside, fsynced and renamed with
    their directory fsynced; object stores make an object visible when its upload ends.
    """

    url: str

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem of the URL."""
        return fsspec.core.url_to_fs(self.url)[0]

    @property
    def local(self) -> Path | None:
        """Landing's directory if it is on a local disk, else None."""
        filesystem, path = fsspec.core.url_to_fs(self.url)
        return Path(path) if isinstance(filesystem, LocalFileSystem) else None

    def full(self, path: str) -> str:
        """The path as the filesystem wants it."""
        return f"{fsspec.core.url_to_fs(self.url)[1].rstrip('/')}/{path}"

    def exists(self, path: str) -> bool:
        """True if this path is there, complete."""
        return bool(self.filesystem.exists(self.full(path)))

    def read(self, path: str) -> bytes:
        """The bytes of this path; LandingBroken if it is not there."""
        try:
            return bytes(self.filesystem.cat_file(self.full(path)))
        except FileNotFoundError:
            raise LandingBroken(
                what=f"{path} is missing from landing.",
                why="A batch without all of its files cannot be applied or replayed.",
                next="Restore the file from a backup of landing, or copy the affected tables "
                "again with `analytics-replica capture --first-copy`.",
            ) from None

    def names(self, folder: str) -> list[str]:
        """The names of the files in this folder of landing, sorted; empty if it is not there."""
        with disk_errors("reading landing"), contextlib.suppress(FileNotFoundError):
            found = self.filesystem.ls(self.full(folder), detail=False)
            return sorted(str(path).rsplit("/", 1)[-1] for path in found)
        return []

    def matching(self, pattern: str) -> list[str]:
        """The paths in landing that match this pattern, relative to landing, sorted."""
        root = len(self.full(""))
        with disk_errors("reading landing"):
            return sorted(str(path)[root:] for path in self.filesystem.glob(self.full(pattern)))

    def unfinished(self, among: str = UNFINISHED) -> Path:
        """A new local path to write a file at before it is published."""
        base = self.local
        folder = (base or Path(tempfile.gettempdir())) / among
        with disk_errors("preparing landing"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    def publish(
        self, written: Path, path: str, *, exclusive: bool = False, reached: Reached = unheard
    ) -> None:
        """Moves a complete local file to its place; afterwards it survives a crash.

        With `exclusive`, LandingError if the path is already there: two writers can never both
        believe that theirs is the one.
        """
        with disk_errors(f"landing {path}"):
            base = self.local
            if base is None:
                self._upload(written, path, mode="create" if exclusive else "overwrite")
                return
            target = base / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _fsync(written)
            reached("fsync")
            if exclusive:
                try:
                    os.link(written, target)
                except FileExistsError:
                    raise _taken(path) from None
                written.unlink()
            else:
                written.replace(target)
            _fsync(target.parent)
            reached("rename")

    def _upload(self, written: Path, path: str, mode: str) -> None:
        try:
            self.filesystem.pipe_file(self.full(path), written.read_bytes(), mode=mode)
        except FileExistsError:
            raise _taken(path) from None
        written.unlink()

    def remove(self, path: str) -> None:
        """Removes this path; nothing if it is not there."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.rm_file(self.full(path))

    @contextlib.contextmanager
    def one_writer(self) -> Iterator[None]:
        """Holds landing for one writer on this machine; AlreadyRunning if another has it.

        The system frees it when we die. On an object store the slot's single reader and the
        manifests' exclusive creation keep a second writer out.
        """
        with self.held(LOCK) as held:
            if not held:
                raise AlreadyRunning(
                    what="Another capture writes to this landing.",
                    why="Two writers must not mix batches, so this one stopped at once.",
                    next="Wait for it to end, then capture again.",
                )
            yield

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Says to `is_followed` that a follower lands what commits, until the block ends.

        For the one writer to call. It waits for who is just asking, who holds the lock that long.
        """
        with self.held(FOLLOWER, wait=True):
            yield

    def is_followed(self) -> bool:
        """True if a follower on this machine lands what commits."""
        if self.local is None or not (self.local / FOLLOWER).exists():
            return False
        with self.held(FOLLOWER) as held:
            return not held

    def ask_to_land(self) -> None:
        """Asks the follower to land the present now, silence included."""
        if self.local is not None:
            (self.local / WANTED).touch()

    def was_asked_to_land(self) -> bool:
        """True once for each time that somebody asked."""
        if self.local is None:
            return False
        try:
            (self.local / WANTED).unlink()
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def held(self, name: str, *, wait: bool = False) -> Iterator[bool]:
        """Holds the lock of this name; gives False if another has it and `wait` is not wanted."""
        base = self.local
        if base is None:
            yield True
            return
        with disk_errors("preparing landing"):
            base.mkdir(parents=True, exist_ok=True)
            lock = (base / name).open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def sweep(self, among: str = UNFINISHED) -> None:
        """Removes what crashed writers left unfinished. Only for the one writer to call."""
        if self.local is not None:
            for left in (self.local / among).glob("*"):
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turns the disk's refusals into our errors, which say that nothing was confirmed."""
    try:
        yield
    except OSError as cause:
        if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LandingFull(
                what=f"The disk is full while {doing}.",
                why="The batch was not published and the slot was not confirmed, so nothing is "
                "lost: production keeps the log until it is landed.",
                next="Free space where landing is, then capture again. Watch the slot's retention "
                "meanwhile (docs/runbooks/landing-is-full.md).",
            ) from None
        raise LandingError(
            what=f"The disk refused while {doing}: {os.strerror(cause.errno or 0)}.",
            why="The batch was not published and the slot was not confirmed; nothing is lost.",
            next="Check that landing's directory exists and may be written by this account.",
        ) from None


def _taken(path: str) -> LandingError:
    return LandingError(
        what=f"{path} is already there.",
        why="Another capture published this batch; two writers must not mix.",
        next="Let only one capture write to this landing.",
    )


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
