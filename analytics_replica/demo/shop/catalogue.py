"""What the shop writes about its products: long, and nothing in it can be compressed.

Here: one description for each number, the same for the same seed on every machine. Not here: the
products themselves (filling/products.sql), who changes them (demo.traffic).
"""

from __future__ import annotations

import hashlib
from typing import Final

LENGTH: Final = 6_000
"""Well over the 2 kB from which PostgreSQL stores a value out of line (TOAST)."""

# Letters drawn at random hold nothing that pglz or lz4 could fold. Neither z, q, v nor a digit
# is among them, so no description ever looks like one of the people's marked words or numbers.
_LETTERS: Final = (b" aeioubcdfghklmnprstwxyaeiot" * 10)[:256]


def description(number: int, seed: int, edition: int = 0) -> str:
    """The text of product `number`; every edition of it is a new text."""
    drawn = hashlib.shake_256(f"{seed}:{number}:{edition}".encode()).digest(LENGTH)
    return drawn.translate(_LETTERS).decode("ascii").strip()
