"""Packed values inside a text, as Dagster keeps what it remembers of a job: zlib as bytea.

Here: finding zlib, gzip and zstd as hex or base64 in rows of a dump, and expanding them. Not here:
packed files (demo.disk), what the bytes are searched for (demo.planted).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SUSPECT: Final = "x78(?:01|5e|9c|da)|x1f8b08|x28b52ffd|eJ|eN|eA|eF|H4sI|KLUv"
_HEX: Final = re.compile(rb"x((?:78(?:01|5e|9c|da)|1f8b08|28b52ffd)(?:[0-9a-f]{2}){6,})")
_BASE64: Final = re.compile(
    rb"(?<![A-Za-z0-9+/_-])(?:eJ|eN|eA|eF|H4sI|KLUv)[A-Za-z0-9+/_-]{14,}={0,2}"
)
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_ZLIB_OR_GZIP: Final = 47


def packed_in(rows: bytes) -> Iterator[bytes]:
    """What the packed values in these rows hold, as far as each can be expanded, in order.

    What only looks packed gives nothing. A value that begins packed and breaks gives its beginning.
    """
    value = pa.array([rows], pa.binary())
    if not pc.match_substring_regex(value, _SUSPECT)[0].as_py():
        return
    for found in _HEX.finditer(rows):
        yield _expanded(bytes.fromhex(found[1].decode("ascii")))
    for found in _BASE64.finditer(rows):
        chars = found[0].rstrip(b"=").translate(_STANDARD)
        try:
            packed = base64.b64decode(chars + b"=" * (-len(chars) % 4))
        except binascii.Error:
            continue
        yield _expanded(packed)


def _expanded(packed: bytes) -> bytes:
    try:
        if packed.startswith(ZSTD):
            with pa.input_stream(pa.py_buffer(packed), compression="zstd") as opened:
                return bytes(opened.read())
        return zlib.decompressobj(_ZLIB_OR_GZIP).decompress(packed)
    except (zlib.error, OSError):
        return b""
