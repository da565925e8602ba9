"""Decoding rows of one relation all at once: tuple bodies to columns of texts.

Here: which messages carry which images, and gathering values into Arrow arrays. Not here: the
loops over every value (walk.py), types and masks: what comes out is PostgreSQL's text form, which
goes straight into the seal and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics_replica.errors import StreamInvalid

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Messages:
    """Row messages in one buffer: message i is the `sizes[i]` bytes from `starts[i]`.

    `header` bytes precede the tag of the first tuple: kind and relation, in a streamed transaction
    also the transaction.
    """

    data: Bytes
    starts: Ints
    sizes: Ints
    header: int


@dataclass(frozen=True)
class Image:
    """One image (old or new) of some of the rows, as columns.

    `rows` are positions in the messages that were decoded, ascending. `texts[c]` is column c as an
    Arrow string array of that length; `unchanged[c]` marks values that production did not log.
    """

    rows: Ints
    texts: tuple[pa.Array, ...]
    unchanged: tuple[Flags, ...]


@dataclass(frozen=True)
class Rows:
    """The decoded messages: their kinds, and the images that they carry.

    `last` has one row for every message: the new image, of a Delete the old one. `before` has the
    old images of the updates that carry one.
    """

    kinds: Bytes
    before: Image
    last: Image


def decode_rows(messages: Messages, columns: int) -> Rows:
    """The images in these Insert, Update and Delete messages of one relation.

    `columns` is the relation's number of columns. Order is kept. StreamInvalid if a message does
    not have that shape.
    """
    from analytics_replica.source import walk  # noqa: PLC0415 - numba takes 0.7 s to import

    count = len(messages.starts)
    old_at, new_at = np.empty(count, np.int64), np.empty(count, np.int64)
    data, header = messages.data, messages.header
    if not walk.find_tuples(data, messages.starts, messages.sizes, header, columns, old_at, new_at):
        raise StreamInvalid(
            what="A row message does not have the shape that its relation announced.",
            why="Decoding it could put values into wrong columns, so its batch was not landed.",
            next="Capture again; if it comes back, report the server's version.",
        )
    deleted = new_at < 0
    last = _image(data, np.where(deleted, old_at, new_at), columns)
    before = _image(data, np.where(deleted, -1, old_at), columns)
    return Rows(data[messages.starts], before, last)


def joined_slices(data: Bytes, begins: Ints, lengths: Ints) -> Bytes:
    """These slices of `data`, one behind the other; nothing where a length is negative."""
    from analytics_replica.source import walk  # noqa: PLC0415 - as above

    joined = np.empty(int(np.maximum(lengths, 0).sum()), np.uint8)
    walk.copy_out(data, begins, lengths, joined)
    return joined


def _image(data: Bytes, at: Ints, columns: int) -> Image:
    from analytics_replica.source import walk  # noqa: PLC0415 - as above

    rows = np.flatnonzero(at >= 0)
    begins = np.empty((columns, len(rows)), np.int64)
    lengths = np.empty((columns, len(rows)), np.int64)
    walk.measure(data, at[rows], columns, begins, lengths)
    texts = tuple(_gathered(data, begins[c], lengths[c]) for c in range(columns))
    return Image(rows, texts, tuple(lengths[c] == walk.UNCHANGED for c in range(columns)))


def _gathered(data: Bytes, begins: Ints, lengths: Ints) -> pa.Array:
    """An Arrow string array of the slices of `data`; NULL where there is none."""
    present = lengths >= 0
    offsets = np.zeros(len(begins) + 1, np.int64)
    np.cumsum(np.where(present, lengths, 0), out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise StreamInvalid(
            what="One column of one chunk of rows holds more than 2 GiB of text.",
            why="Arrow's strings cannot hold it, so its batch was not landed.",
            next="Mask the column with `null`, or drop it from the publication.",
        )
    values = joined_slices(data, begins, lengths)
    validity = None
    if not present.all():
        validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(
        pa.string(),
        len(begins),
        [validity, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(values)],
    )
