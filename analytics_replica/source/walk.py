"""Walking the tuples of row messages and copying their values out, compiled by numba.

Here: the two loops over every value of every row. Not here: what the values become (columnar.py).
Source: PostgreSQL manual, "Logical Replication Message Formats", TupleData.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

INSERT: Final = ord("I")
UPDATE: Final = ord("U")
DELETE: Final = ord("D")
_NEW: Final = ord("N")
_KEY: Final = ord("K")
_OLD: Final = ord("O")
_TEXT: Final = ord("t")
_NULL: Final = ord("n")
_UNCHANGED: Final = ord("u")

NULL: Final = -1
UNCHANGED: Final = -2
"""Lengths that say why a value has no text."""


@numba.njit(nogil=True, cache=True)
def find_tuples(
    data: Bytes, starts: Ints, sizes: Ints, header: int, columns: int, old_at: Ints, new_at: Ints
) -> bool:
    """Writes where each message's old and new tuple begin, -1 if it has none.

    `header` is where the first tuple's tag stands. False if a message has another shape than an
    Insert, Update or Delete of a relation with so many columns.
    """
    for row in range(len(starts)):
        begin, end = starts[row], starts[row] + sizes[row]
        kind, at = data[begin], begin + header
        old_at[row] = new_at[row] = -1
        if at >= end:
            return False
        tag = data[at]
        if tag in (_KEY, _OLD) and kind != INSERT:
            old_at[row] = at + 1
            at = _skip(data, at + 1, end, columns)
            if kind == DELETE:
                if at != end:
                    return False
                continue
            if at < 0 or at >= end:
                return False
            tag = data[at]
        if tag != _NEW or kind not in (INSERT, UPDATE):
            return False
        new_at[row] = at + 1
        if _skip(data, at + 1, end, columns) != end:
            return False
    return True


@numba.njit(nogil=True, cache=True)
def _skip(data: Bytes, at: np.int64, end: np.int64, columns: int) -> np.int64:
    """Where the tuple at `at` ends; -1 if it is not one of so many columns within `end`."""
    if at + 2 > end or (np.int64(data[at]) << 8 | data[at + 1]) != columns:
        return np.int64(-1)
    at += 2
    for _ in range(columns):
        if at >= end:
            return np.int64(-1)
        kind = data[at]
        at += 1
        if kind == _TEXT:
            if at + 4 > end:
                return np.int64(-1)
            at += 4 + _length(data, at)
        elif kind not in (_NULL, _UNCHANGED):
            return np.int64(-1)
    return at if at <= end else np.int64(-1)


@numba.njit(inline="always")
def _length(data: Bytes, at: np.int64) -> np.int64:
    return (
        np.int64(data[at]) << 24
        | np.int64(data[at + 1]) << 16
        | np.int64(data[at + 2]) << 8
        | np.int64(data[at + 3])
    )


@numba.njit(nogil=True, cache=True)
def measure(data: Bytes, tuples: Ints, columns: int, begins: Ints, lengths: Ints) -> None:
    """Writes where each value of these tuples begins and how long it is, by column and row.

    The tuples were accepted by `find_tuples`, so nothing is checked again.
    """
    for row in range(len(tuples)):
        at = tuples[row] + 2
        for column in range(columns):
            kind = data[at]
            at += 1
            if kind == _TEXT:
                length = _length(data, at)
                at += 4
                begins[column, row] = at
                lengths[column, row] = length
                at += length
            else:
                begins[column, row] = at
                lengths[column, row] = NULL if kind == _NULL else UNCHANGED


@numba.njit(nogil=True, cache=True)
def copy_out(data: Bytes, begins: Ints, lengths: Ints, out: Bytes) -> None:
    """Writes the values of one column one behind the other."""
    to = 0
    for row in range(len(begins)):
        begin, length = begins[row], lengths[row]
        for byte in range(length):
            out[to + byte] = data[begin + byte]
        to += max(length, 0)
