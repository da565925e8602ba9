"""Positions in PostgreSQL's write-ahead log.

Here: the one type for them, its text form and its arithmetic. Not here: what a position means to
a batch (batches.py) or to a slot (source.slot).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TEXT = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


@dataclass(frozen=True, order=True, slots=True)
class Lsn:
    """A byte position in the write-ahead log; ordered, printed as PostgreSQL prints it.

    >>> Lsn.parse("16/B374D848")
    Lsn('16/B374D848')
    >>> Lsn.parse("0/20") - Lsn.parse("0/10")
    16
    """

    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value < 2**64:
            raise ValueError("an LSN is an unsigned 64-bit number")

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """The position that PostgreSQL prints as `text`; ValueError if it is not one."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"not an LSN: {text!r}")
        return cls((int(match[1], 16) << 32) | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self.value >> 32:X}/{self.value & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn('{self}')"

    def __sub__(self, other: Lsn) -> int:
        """Bytes of log between the two positions; negative if `other` is later."""
        return self.value - other.value


ZERO: Final = Lsn(0)
