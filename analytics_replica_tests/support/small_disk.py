"""A disk that is small enough to be full.

Here: mounting and filling it. Not here: who writes to it then.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own."""

    path: Path

    def fill(self, spare_bytes: int = 0) -> None:
        """Leaves only so many bytes free, in whole pages."""
        free = os.statvfs(self.path)
        with self._filler.open("ab") as filler:
            filler.write(bytes(max(0, free.f_bavail * free.f_frsize - spare_bytes)))

    def free(self) -> None:
        """Gives back what `fill` took."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.path / "filler"


@contextmanager
def small_disk(size: str) -> Iterator[SmallDisk]:
    """A disk of this size (`32m`), gone with all that is on it when the block ends.

    The test is skipped where mounting is forbidden.
    """
    place = Path(tempfile.mkdtemp(prefix="ar-test-"))
    options = f"size={size},mode=755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False)
    if mounted.returncode != 0:
        place.rmdir()
        pytest.skip("this machine does not let us mount a file system")
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()
