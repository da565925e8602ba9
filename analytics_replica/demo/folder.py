"""The one folder that holds everything of a demo, and may be removed as a whole.

Here: claiming it, locking it, its private files, which of it lies on production's side of the
privacy line. Not here: the servers in it (server.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analytics_replica.errors import DemoError

MARKER_FILE: Final = ".analytics-replica-demo"
"""Says that a folder is a demo's, and names the directory of the programs it was made with."""

PORTS_FILE: Final = "ports.json"
_KEY_FILE: Final = "masking_key_k1"
_LOCK_FILE: Final = ".lock"
_ON_PRODUCTIONS_SIDE: Final = frozenset({"production", "production-side"})
_WRITTEN_BY_OTHERS: Final = frozenset({"landing", "alerts.jsonl", "production-side"})
"""What replica.yaml lets the pipeline put into the folder, perhaps before the servers exist."""


@dataclass(frozen=True)
class DemoFolder:
    """A folder that belongs to one demo. The path is absolute."""

    path: Path

    @property
    def is_ours(self) -> bool:
        """True if a demo claimed it."""
        return (self.path / MARKER_FILE).is_file()

    @property
    def programs(self) -> Path | None:
        """The directory of PostgreSQL's programs that the demo was made with, if still there."""
        if not self.is_ours:
            return None
        remembered = Path((self.path / MARKER_FILE).read_text(encoding="utf-8").strip())
        return remembered if remembered.is_dir() else None

    def claim(self, programs: Path) -> None:
        """Makes the folder the demo's; nothing happens if it is already.

        DemoError if it holds anything that a demo would not have put there.
        """
        if self.is_ours:
            return
        if self.path.exists() and any(
            entry.name not in _WRITTEN_BY_OTHERS for entry in self.path.iterdir()
        ):
            raise DemoError(
                what=f"{self.path} exists and is not a demo's folder.",
                why="`demo reset` removes the whole folder, so it must hold nothing else.",
                next="Name a folder that does not exist yet.",
            )
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / MARKER_FILE).write_text(f"{programs}\n", encoding="utf-8")

    def require_ours(self) -> None:
        """DemoError if no demo claimed it, so it must not be removed."""
        if not self.is_ours:
            raise DemoError(
                what=f"{self.path} is not a demo's folder.",
                why=f"It has no {MARKER_FILE}, so it may hold something that is needed.",
                next="Name the right folder, or remove this one yourself.",
            )

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the folder's lock, waiting for it; the system frees it when we die."""
        with (self.path / _LOCK_FILE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def ports(self) -> dict[str, int]:
        """The TCP port of each server, by name; empty if they listen on sockets only."""
        file = self.path / PORTS_FILE
        if not file.is_file():
            return {}
        return {name: int(port) for name, port in json.loads(file.read_bytes()).items()}

    def masking_key(self) -> str:
        """The demo's masking key in hex: made at random when first asked for, then kept."""
        file = self.path / _KEY_FILE
        if not file.exists():
            self.write_private(_KEY_FILE, secrets.token_hex(32))
        return file.read_text(encoding="ascii")

    def write_private(self, name: str, text: str) -> Path:
        """Writes the file whole or not at all; only this account can ever read it."""
        file, draft = self.path / name, self.path / f"{name}.new"
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
        return file

    def outside_production(self) -> tuple[Path, ...]:
        """Everything in it that is not on production's side of the privacy line."""
        return tuple(sorted(e for e in self.path.iterdir() if e.name not in _ON_PRODUCTIONS_SIDE))
