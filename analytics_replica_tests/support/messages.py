"""pgoutput's row messages, written by the manual: the peer of our decoder in tests.

Here: encoding. Not here: anything of the product.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

UNCHANGED = object()
"""A value that production did not log."""

Value = str | object | None


@dataclass(frozen=True)
class Row:
    """One Insert, Update or Delete: `old` with its tag (K or O) if there is one."""

    kind: str
    new: tuple[Value, ...] | None
    old: tuple[Value, ...] | None = None
    tag: str = "K"


def encoded(row: Row, oid: int = 7, xid: int | None = None) -> bytes:
    """The message as the server sends it; with the transaction's id in a streamed block."""
    parts = [row.kind.encode()]
    if xid is not None:
        parts.append(struct.pack(">I", xid))
    parts.append(struct.pack(">I", oid))
    if row.old is not None:
        parts += [row.tag.encode(), _tuple(row.old)]
    if row.new is not None:
        parts += [b"N", _tuple(row.new)]
    return b"".join(parts)


def _tuple(values: Sequence[Value]) -> bytes:
    parts = [struct.pack(">H", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNCHANGED:
            parts.append(b"u")
        else:
            text = str(value).encode()
            parts += [b"t", struct.pack(">I", len(text)), text]
    return b"".join(parts)
