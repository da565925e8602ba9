"""Locks of landing, and how a follower is asked to land: between processes of one machine.

Here: files in landing's home that are locked or touched. Not here: what keeps writers of several
machines apart (layout.Store.publish, the slot).
"""

from __future__ import annotations

import contextlib
import fcntl
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from analytics_replica.landing.disk import disk_errors

FOLLOWER: Final = "follow.lock"
"""Held for as long as a follower runs; layout.LOCK by whoever writes."""
WANTED: Final = "land-now"
"""Is there while somebody waits for a follower to land the present."""


class Locks(ABC):
    """The locks in one directory, `home`."""

    @property
    @abstractmethod
    def home(self) -> Path:
        """Where the locks are; processes that share it exclude each other."""

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Says to `is_followed` that a follower lands what commits, until the block ends.

        For the one writer to call. It waits for who is just asking, who holds the lock that long.
        """
        with self.held(FOLLOWER, wait=True):
            yield

    def is_followed(self) -> bool:
        """True if a follower on this machine lands what commits."""
        if not (self.home / FOLLOWER).exists():
            return False
        with self.held(FOLLOWER) as held:
            return not held

    def ask_to_land(self) -> None:
        """Asks the follower to land the present now, silence included."""
        (self.home / WANTED).touch()

    def was_asked_to_land(self) -> bool:
        """True once for each time that somebody asked."""
        try:
            (self.home / WANTED).unlink()
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def held(self, name: str, *, wait: bool = False) -> Iterator[bool]:
        """Holds the lock of this name; gives False if another has it and `wait` is not wanted."""
        with disk_errors("preparing landing"):
            base = self.home
            base.mkdir(parents=True, exist_ok=True)
            lock = (base / name).open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
