"""Silence, proven from production's raw log: that no transaction ended in a stretch of it.

Here: walking over the log's pages and records, and what counts as the end of a transaction. Pure:
bytes in, records out. Not here: how the bytes come from production (raw_log.py), what silence is
good for (resume.py).

Only the frame of each record is looked at; what it holds is counted and forgotten. Layout:
PostgreSQL's xlog_internal.h and xlogrecord.h, the same from version 14 to 18. Whatever does not
fit it ends the walk with Unreadable: silence that cannot be read is not silence.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.lsn import Lsn

PAGE: Final = 8192
_SHORT: Final = struct.Struct("<HHIQI4x")
_LONG: Final = struct.Struct("<QII")
"""A page's header (magic, flags, timeline, address, rest of a record), and what a segment's first
page adds: system identifier, segment size, page size."""
_RECORD: Final = struct.Struct("<IIQBBxxI")
"""A record's header: length, transaction, the record before, info, resource manager, checksum."""
_LENGTH: Final = struct.Struct("<I")

_CONTINUES: Final = 0x0001
_IS_LONG: Final = 0x0002
_KNOWN_FLAGS: Final = 0x0007
"""The page begins inside a record; its header is long; its full images may be removed. The fourth
flag says that a record was given up half-written: rare enough to be called unreadable."""
_MAGIC: Final = 0xD1
"""The upper byte of every page's magic number since PostgreSQL 14; the lower one is the version."""

_XLOG, _XACT = 0, 1
_OPERATION: Final = 0x70
_SWITCH: Final = 0x40
"""XLOG_SWITCH: the rest of the segment is empty."""
ENDINGS: Final = frozenset({0x00, 0x10, 0x30})
"""COMMIT, PREPARE, COMMIT PREPARED: after any of them a slot may have something to send."""


class Unreadable(Exception):
    """The bytes are not the log that was expected; `at` is where."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(f"{why} at {Lsn(at)}")


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a stretch of log is silent, and why that is known or not. Doubt is not silence."""

    silent: bool
    says: str

    @classmethod
    def given(cls, says: str) -> Proof:
        """It is silent, because of this."""
        return cls(silent=True, says=says)

    @classmethod
    def doubted(cls, says: str) -> Proof:
        """It is not silent, or nobody can tell, because of this."""
        return cls(silent=False, says=says)


@dataclass(frozen=True, slots=True)
class Record:
    """The frame of one record: where it starts, and what kind it is."""

    start: int
    length: int
    manager: int
    info: int

    @property
    def ends_transaction(self) -> bool:
        """True for a commit, a prepare, and the commit of what was prepared."""
        return self.manager == _XACT and self.info & _OPERATION in ENDINGS


class Walk:
    """The records of a stretch of log that starts at the start of a record.

    Give the bytes in order, in pieces of any size; each record comes once, when all of it was
    seen. Memory is bounded by the largest piece.
    """

    def __init__(
        self, start: Lsn, segment_bytes: int, system_identifier: str | None = None
    ) -> None:
        self.at = start.value
        self._segment = segment_bytes
        self._system = system_identifier
        self._rest = b""
        self._skip_to = start.value
        self._started = start.value
        self._missing = 0
        self._head = b""
        self._before: int | None = None
        self._magic: int | None = None

    @property
    def complete_to(self) -> Lsn:
        """Every record that starts before this was given."""
        return Lsn(self._started if self._missing else max(self.at, self._skip_to))

    def feed(self, data: bytes) -> Iterator[Record]:
        """The records that these bytes, which follow the last ones, complete."""
        view = self._rest + data
        used, size = 0, len(view)
        while used < size:
            step = self._step(view, used, size)
            if step is None:
                break
            taken, record = step
            used += taken
            self.at += taken
            if record is not None:
                yield record
        self._rest = view[used:]

    def _step(self, view: bytes, used: int, size: int) -> tuple[int, Record | None] | None:
        """How many bytes to go on, and a record that they complete; None to wait for more."""
        left = size - used
        if self.at < self._skip_to:
            return min(left, self._skip_to - self.at), None
        if self.at % PAGE == 0:
            return self._page(view, used, left)
        if not self._missing:
            if left < _LENGTH.size:  # a record starts at a multiple of 8, so these are together
                return None
            self._begin(_LENGTH.unpack_from(view, used)[0])
        taken = min(left, self._missing, PAGE - self.at % PAGE)
        if len(self._head) < _RECORD.size:
            self._head += view[used : used + min(taken, _RECORD.size - len(self._head))]
        self._missing -= taken
        return taken, None if self._missing else self._end(self.at + taken)

    def _page(self, view: bytes, used: int, left: int) -> tuple[int, None] | None:
        is_first = self.at % self._segment == 0
        length = _SHORT.size + (_LONG.size if is_first else 0)
        if left < length:
            return None
        magic, flags, _, address, rest = _SHORT.unpack_from(view, used)
        self._magic = magic if self._magic is None else self._magic
        if magic >> 8 != _MAGIC or magic != self._magic or address != self.at:
            raise Unreadable(self.at, "no page of the log")
        if flags & ~_KNOWN_FLAGS or bool(flags & _IS_LONG) != is_first:
            raise Unreadable(self.at, "a page of an unknown kind")
        if rest != self._missing or bool(flags & _CONTINUES) != bool(self._missing):
            raise Unreadable(self.at, "a page that does not go on with its record")
        if is_first:
            system, segment, page = _LONG.unpack_from(view, used + _SHORT.size)
            if (segment, page) != (self._segment, PAGE) or str(system) != (
                self._system or str(system)
            ):
                raise Unreadable(self.at, "a segment of another server")
        return length, None

    def _begin(self, length: int) -> None:
        if length < _RECORD.size:
            raise Unreadable(self.at, "no record")
        self._started, self._missing, self._head = self.at, length, b""

    def _end(self, end: int) -> Record:
        length, _, before, info, manager, _ = _RECORD.unpack(self._head)
        known = self._before
        if before != known if known is not None else before >= self._started:
            raise Unreadable(self._started, "a record that does not follow the one before")
        self._before = self._started
        self._skip_to = -(-end // 8) * 8
        if manager == _XLOG and info & 0xF0 == _SWITCH:
            self._skip_to = -(-self._skip_to // self._segment) * self._segment
        return Record(self._started, length, manager, info)
