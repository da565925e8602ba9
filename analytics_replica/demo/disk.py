"""Every byte of a file: as it lies on disk, and what it holds if it is packed.

Here: walking folders, reading pieces, expanding packed files, decoding Parquet and Arrow column by
column. Not here: packed values in a text (demo.packed), what is searched for (demo.planted).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

PIECE_BYTES: Final = 1 << 20
BATCH_ROWS: Final = 65_536
_PARQUET, _ARROW, _ZIP = b"PAR1", b"ARROW1", b"PK\x03\x04"
_HEAD_BYTES: Final = 6
_STREAM_BEGINS: Final = 8

UNREADABLE: Final = (
    *(OSError, EOFError, zlib.error, pa.ArrowException),
    *(lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError),
)
"""What a file raises that cannot be read, or is not what its first bytes say."""


def files_under(paths: Iterable[Path]) -> Iterator[Path]:
    """All regular files at or below the paths; links are followed, each folder is read once."""
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if _is_regular(path):
            yield path
        for folder, folders, names in os.walk(path, followlinks=True):
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders.sort()
            yield from (file for name in sorted(names) if _is_regular(file := Path(folder, name)))


def raw_pieces(file: Path) -> Iterator[bytes]:
    """The file's bytes in order."""
    with file.open("rb", buffering=0) as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def expanded_pieces(file: Path) -> Iterator[bytes]:
    """What a packed file holds, known by its first bytes; nothing for others.

    Parquet and Arrow column by column; gzip, zstd, lz4, bzip2 and xz; zip member by member.
    """
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    if head.startswith(_PARQUET):
        yield from _parquet_pieces(file)
    elif head == _ARROW:
        yield from _arrow_pieces(file)
    elif head.startswith(_ZIP):
        with zipfile.ZipFile(file) as members:
            for member in members.namelist():
                with members.open(member) as packed:
                    yield b"\n"
                    yield from _read(packed)
    else:
        for first, unpacked in _PACKINGS.items():
            if head.startswith(first):
                with unpacked(file) as packed:
                    yield from _read(packed)


def _read(opened: IO[bytes] | pa.NativeFile) -> Iterator[bytes]:
    while piece := opened.read(PIECE_BYTES):
        yield piece


def _by_arrow(file: Path, compression: str) -> pa.NativeFile:
    return pa.input_stream(str(file), compression=compression)


_PACKINGS: Final[
    dict[bytes, Callable[[Path], AbstractContextManager[IO[bytes] | pa.NativeFile]]]
] = {
    b"\x1f\x8b\x08": gzip.open,
    b"\x28\xb5\x2f\xfd": partial(_by_arrow, compression="zstd"),
    b"\x04\x22\x4d\x18": partial(_by_arrow, compression="lz4"),
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


def _arrow_pieces(file: Path) -> Iterator[bytes]:
    """Arrow's file format; of one without an end, as a kill leaves it, all whole batches."""
    with pa.OSFile(str(file)) as opened:
        opened.seek(_STREAM_BEGINS)
        with pa.ipc.open_stream(opened) as batches:
            for batch in batches:
                for column in batch.columns:
                    for values in _leaves(column):
                        yield b"\n" + _joined(values)


def _parquet_pieces(file: Path) -> Iterator[bytes]:
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
            for column in batch.columns:
                for values in _leaves(column):
                    yield b"\n" + _joined(values)


def _leaves(values: pa.Array) -> Iterator[pa.Array]:
    """The arrays of plain values inside nested ones."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        yield from _leaves(values.dictionary)
    elif pa.types.is_struct(kind):
        for field in values.flatten():
            yield from _leaves(field)
    elif pa.types.is_map(kind):
        yield from _leaves(values.keys)
        yield from _leaves(values.items)
    elif pa.types.is_nested(kind):
        yield from _leaves(values.flatten())
    else:
        yield values


def _joined(values: pa.Array) -> bytes:
    """Texts, bytes and whole numbers one per line; times and fractions hold no personal value."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        values = values.cast(pa.string())
    elif not (pa.types.is_binary(kind) or _is_like_binary(kind)):
        return b""
    # not a text's type: nobody promises that bytes are UTF-8
    present = values.cast(pa.binary()).drop_null()
    lines = pa.ListArray.from_arrays(pa.array([0, len(present)], pa.int32()), present)
    return bytes(pc.binary_join(lines, b"\n")[0].as_buffer())


def _is_like_binary(kind: pa.DataType) -> bool:
    of = pa.types
    return bool(
        of.is_string(kind)
        or of.is_large_string(kind)
        or of.is_large_binary(kind)
        or of.is_string_view(kind)
        or of.is_binary_view(kind)
        or of.is_fixed_size_binary(kind)
    )


def _is_regular(file: Path) -> bool:
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except FileNotFoundError:
        return False  # a link to nowhere, or gone meanwhile
