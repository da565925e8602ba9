"""Where a copy's files are before they are landed: private, masked, and kept if that is of use.

Here: one folder for each copy in the making, which of its parts are complete, and the three states
of the folder. Not here: reading rows into parts (initial_copy.py), when a finished copy becomes a
batch (first_copy.py, recopy.py).

Folders in landing's `copies/`: `backup-<name>` and `paused-<name>` are being filled (from a base
backup, which a crash ends, or from a physical copy that lasts, whose parts can be kept);
`ready-<id>` is a whole copy that waits to be landed; `refused-<id>` says why one was not. A part is
complete when its description (`<key>.json`) exists: a manifest of this one file, which names the
position, the system and the policy that it belongs to.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from analytics_replica.domain.batches import LandedColumn, LandedFile, Manifest
from analytics_replica.errors import AlreadyRunning, ManifestUnreadable
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import from_json, to_json

COPIES: Final = "copies"
OWNER: Final = "owner"
PROPOSAL: Final = "proposal.json"
REASON: Final = "reason"

FIRST: Final = "first"
"""The name of the copy that begins a landing."""


def copies_folder(store: Store) -> Path:
    """Where the copies of this landing are made: in it, or for an object store on this machine."""
    if store.local is not None:
        return store.local / COPIES
    name = hashlib.sha256(store.url.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"analytics-replica-{COPIES}-{name}"


@dataclass(frozen=True)
class CopyArea:
    """One copy in the making, of which this process is the only owner.

    `about` is the manifest that the whole copy would have, without files: parts that were made for
    another position, system or policy are not its parts.
    """

    folder: Path
    about: Manifest

    def complete(self, key: str) -> LandedFile | None:
        """The part with this key if it is whole and belongs to this copy."""
        file = self._described(self.folder / f"{key}.json")
        if file is None:
            return None
        with (self.folder / file.path).open("rb") as written:
            whole = hashlib.file_digest(written, "sha256").hexdigest() == file.sha256
        return file if whole else None

    def unfinished(self) -> Path:
        """A new path to write a part at."""
        return self.folder / f"{uuid.uuid4().hex}.unfinished"

    def keep(self, key: str, written: Path, file: LandedFile) -> LandedFile:
        """Makes the part complete; from now on a crash does not lose it."""
        path = f"{key}.parquet"
        with disk_errors(f"copying {file.table}"):
            _sync(written)
            written.replace(self.folder / path)
            file = replace(file, path=path)
            _write(self.folder / f"{key}.json", to_json(replace(self.about, files=(file,))))
        return file

    def propose(self, files: tuple[LandedFile, ...]) -> ReadyCopy:
        """Makes the copy whole: any capture may land it now."""
        with disk_errors("completing a copy"):
            proposal = replace(self.about, files=files)
            _write(self.folder / PROPOSAL, to_json(proposal))
            target = self.folder.parent / f"ready-{uuid.uuid4().hex}"
            self.folder.rename(target)
            _sync(target.parent)
        return ReadyCopy(target, proposal)

    def clear(self, *, all_of_it: bool) -> None:
        """Removes what is not a part of this copy, or everything."""
        parts = () if all_of_it else self.folder.glob("*.json")
        kept = {f.path: d.name for d in parts if (f := self._described(d)) is not None}
        for left in self.folder.iterdir():
            if left.name not in {OWNER, *kept, *kept.values()}:
                left.unlink()

    def _described(self, description: Path) -> LandedFile | None:
        try:
            known = from_json(description.read_bytes(), description.name)
        except (OSError, ManifestUnreadable):
            return None
        # What may differ without making other rows: when it was read, and the slot at that time.
        ours = replace(self.about, captured_at=known.captured_at, slot=known.slot)
        if replace(known, files=()) != ours or len(known.files) != 1:
            return None
        return known.files[0] if (self.folder / known.files[0].path).exists() else None


@dataclass(frozen=True)
class ReadyCopy:
    """A whole copy that waits to be landed."""

    folder: Path
    proposal: Manifest

    @property
    def files(self) -> Iterator[tuple[Path, LandedFile]]:
        """Each file and what it is."""
        return ((self.folder / file.path, file) for file in self.proposal.files)

    @property
    def waits(self) -> bool:
        """True until a capture landed or refused it."""
        return (self.folder / PROPOSAL).exists()

    @property
    def refusal(self) -> str | None:
        """Why it was refused; None if it was not."""
        with contextlib.suppress(FileNotFoundError):
            return (_refused(self.folder) / REASON).read_text()
        return None

    def refuse(self, reason: str) -> None:
        """Throws the copy away, and tells whoever waits for it why."""
        told = _refused(self.folder)
        (self.folder / REASON).write_text(reason)
        self.folder.rename(told)
        for left in told.iterdir():
            if left.name not in (OWNER, REASON):
                left.unlink()

    def forget(self) -> None:
        """Removes what is left of it."""
        (self.folder / PROPOSAL).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def copy_area(store: Store, name: str, about: Manifest, *, lasting: bool) -> Iterator[CopyArea]:
    """The area for the copy of this name, with what a crash left of it if that can still be used.

    AlreadyRunning if another process makes this copy. What is not proposed when the block ends is
    thrown away, unless the physical copy lasts and the block failed.
    """
    base = copies_folder(store)
    folder = base / f"{'paused' if lasting else 'backup'}-{name}"
    with disk_errors("preparing a copy"):
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    with _owned(folder) as lock:
        area = CopyArea(folder, about)
        area.clear(all_of_it=not lasting)
        failed = True
        try:
            yield area
            failed = False
        finally:
            # A proposal took the folder with it; one of this name is another process's then.
            if _is_file(lock, folder / OWNER) and not (failed and lasting):
                shutil.rmtree(folder, ignore_errors=True)


def ready_copies(store: Store) -> list[ReadyCopy]:
    """The whole copies that wait to be landed, oldest position first; damaged ones are removed."""
    found = []
    for folder in copies_folder(store).glob("ready-*"):
        try:
            found.append(ReadyCopy(folder, from_json((folder / PROPOSAL).read_bytes(), PROPOSAL)))
        except (OSError, ManifestUnreadable):
            shutil.rmtree(folder, ignore_errors=True)
    return sorted(found, key=lambda ready: ready.proposal.to_lsn)


def sweep_copies(store: Store) -> None:
    """Removes what crashed copies left and nobody can use. Only for the one writer to call."""
    for pattern in ("backup-*", "refused-*"):
        for folder in copies_folder(store).glob(pattern):
            if not _has_owner(folder):
                shutil.rmtree(folder, ignore_errors=True)


def part_key(*parts: object) -> str:
    """The name of a part: another piece, shape or treatment gives another name."""
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()[:32]


def columns_key(columns: tuple[LandedColumn, ...]) -> str:
    """What of the columns makes a difference for the rows of a part."""
    return repr([(c.column, c.treatment, c.staging_type) for c in columns])


def _refused(ready: Path) -> Path:
    return ready.with_name(ready.name.replace("ready-", "refused-", 1))


@contextlib.contextmanager
def _owned(folder: Path) -> Iterator[int]:
    with disk_errors("preparing a copy"):
        lock = (folder / OWNER).open("w")
    with lock:
        if not (_take(lock.fileno()) and _is_file(lock.fileno(), folder / OWNER)):
            raise AlreadyRunning(
                what="Another process copies the same tables into this landing.",
                why="Two at once would do the same work twice, so this one stopped at once.",
                next="Wait for it to end, then copy again.",
            )
        yield lock.fileno()


def _has_owner(folder: Path) -> bool:
    try:
        with (folder / OWNER).open("r+") as lock:
            return not _take(lock.fileno())
    except FileNotFoundError:
        return False


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, data: bytes) -> None:
    beside = path.with_suffix(".writing")
    beside.write_bytes(data)
    _sync(beside)
    beside.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
