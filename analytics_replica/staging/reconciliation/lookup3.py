"""PostgreSQL's own 64-bit hash functions over Arrow's buffers, compiled.

Here: Bob Jenkins' lookup3 as PostgreSQL's common/hashfn.c computes it, for the types whose bytes
are the same on both sides. Not here: which column is hashed how (cells.py). PostgreSQL cannot
change these functions, because hash partitioning divides tables by them; the tests compare every
one of them with the server's.

Every function takes one seed for each value and writes one hash; a NULL gets 0.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_START = 0x9E3779B9 + 3923095
_NAN = 0x7FF8000000000000
_LAST_GROUP = 24
"""More groups of four digits than a decimal of 64 bits has."""


@numba.njit(inline="always")
def _rotated(word: np.uint32, count: int) -> np.uint32:
    return np.uint32((word << np.uint32(count)) | (word >> np.uint32(32 - count)))


@numba.njit(inline="always")
def _mixed(a: np.uint32, b: np.uint32, c: np.uint32) -> tuple[np.uint32, np.uint32, np.uint32]:
    a = np.uint32(np.uint32(a - c) ^ _rotated(c, 4))
    c = np.uint32(c + b)
    b = np.uint32(np.uint32(b - a) ^ _rotated(a, 6))
    a = np.uint32(a + c)
    c = np.uint32(np.uint32(c - b) ^ _rotated(b, 8))
    b = np.uint32(b + a)
    a = np.uint32(np.uint32(a - c) ^ _rotated(c, 16))
    c = np.uint32(c + b)
    b = np.uint32(np.uint32(b - a) ^ _rotated(a, 19))
    a = np.uint32(a + c)
    c = np.uint32(np.uint32(c - b) ^ _rotated(b, 4))
    b = np.uint32(b + a)
    return a, b, c


@numba.njit(inline="always")
def _final(a: np.uint32, b: np.uint32, c: np.uint32) -> np.uint64:
    c = np.uint32(np.uint32(c ^ b) - _rotated(b, 14))
    a = np.uint32(np.uint32(a ^ c) - _rotated(c, 11))
    b = np.uint32(np.uint32(b ^ a) - _rotated(a, 25))
    c = np.uint32(np.uint32(c ^ b) - _rotated(b, 16))
    a = np.uint32(np.uint32(a ^ c) - _rotated(c, 4))
    b = np.uint32(np.uint32(b ^ a) - _rotated(a, 14))
    c = np.uint32(np.uint32(c ^ b) - _rotated(b, 24))
    return np.uint64((np.uint64(b) << np.uint64(32)) | np.uint64(c))


@numba.njit(inline="always")
def _begun(length: int, seed: np.uint64) -> tuple[np.uint32, np.uint32, np.uint32]:
    start = np.uint32(_START + length)
    a, b, c = start, start, start
    if seed != np.uint64(0):
        a = np.uint32(a + np.uint32(seed >> np.uint64(32)))
        b = np.uint32(b + np.uint32(seed & np.uint64(0xFFFFFFFF)))
        a, b, c = _mixed(a, b, c)
    return a, b, c


@numba.njit(inline="always")
def _of_word(word: np.uint32, seed: np.uint64) -> np.uint64:
    """hash_bytes_uint32_extended."""
    a, b, c = _begun(4, seed)
    return _final(np.uint32(a + word), b, c)


@numba.njit(inline="always")
def _word(data: Bytes, at: int) -> np.uint32:
    i = np.uint64(at)
    return np.uint32(
        np.uint32(data[i])
        | (np.uint32(data[i + np.uint64(1)]) << np.uint32(8))
        | (np.uint32(data[i + np.uint64(2)]) << np.uint32(16))
        | (np.uint32(data[i + np.uint64(3)]) << np.uint32(24))
    )


@numba.njit(nogil=True, cache=True)
def _of_bytes(data: Bytes, start: int, length: int, seed: np.uint64) -> np.uint64:
    """hash_bytes_extended, of little-endian machines as of all others."""
    a, b, c = _begun(length, seed)
    at, left = start, length
    while left >= 12:
        a = np.uint32(a + _word(data, at))
        b = np.uint32(b + _word(data, at + 4))
        c = np.uint32(c + _word(data, at + 8))
        a, b, c = _mixed(a, b, c)
        at += 12
        left -= 12
    # The last up to 11 bytes; the lowest byte of c is the length's.
    for i in range(left):
        byte = np.uint32(data[np.uint64(at + i)])
        if i < 4:
            a = np.uint32(a + (byte << np.uint32(8 * i)))
        elif i < 8:
            b = np.uint32(b + (byte << np.uint32(8 * (i - 4))))
        else:
            c = np.uint32(c + (byte << np.uint32(8 * (i - 7))))
    return _final(a, b, c)


@numba.njit(inline="always")
def _folded(value: np.int64) -> np.uint32:
    """How hashint8 makes 32 bits of 64, so that an int4 and an int8 of one value hash alike."""
    low = np.uint32(value & np.int64(0xFFFFFFFF))
    high = np.uint32((value >> np.int64(32)) & np.int64(0xFFFFFFFF))
    return np.uint32(low ^ high) if value >= 0 else np.uint32(low ^ ~high)


@numba.njit(nogil=True, cache=True)
def of_words(values: Ints, valid: Flags, seeds: Hashes, out: Hashes) -> None:
    """hashint4extended (and hashint2extended)."""
    for i in range(len(values)):
        word = np.uint32(values[i] & np.int64(0xFFFFFFFF))
        out[i] = _of_word(word, seeds[i]) if valid[i] else np.uint64(0)


@numba.njit(nogil=True, cache=True)
def of_longs(values: Ints, valid: Flags, seeds: Hashes, out: Hashes) -> None:
    """hashint8extended, and what computes as it does: times and timestamps as microseconds."""
    for i in range(len(values)):
        out[i] = _of_word(_folded(values[i]), seeds[i]) if valid[i] else np.uint64(0)


@numba.njit(nogil=True, cache=True)
def of_doubles(values: Floats, valid: Flags, seeds: Hashes, out: Hashes) -> None:
    """hashfloat8extended for all but zeros, which are hashed as their text: it has their sign."""
    bits = values.view(np.uint64)
    eight = np.empty(8, np.uint8)
    zero = np.array([45, 48], np.uint8)  # "-0"
    for i in range(len(values)):
        if not valid[i]:
            out[i] = np.uint64(0)
        elif values[i] == 0:
            plain = 1 if bits[i] == 0 else 0
            out[i] = _of_bytes(zero, plain, 2 - plain, seeds[i])
        else:
            image = np.uint64(_NAN) if np.isnan(values[i]) else bits[i]
            for n in range(8):
                eight[n] = np.uint8((image >> np.uint64(8 * n)) & np.uint64(255))
            out[i] = _of_bytes(eight, 0, 8, seeds[i])


@numba.njit(nogil=True, cache=True)
def of_texts(data: Bytes, offsets: Ints, valid: Flags, seeds: Hashes, out: Hashes) -> None:
    """PostgreSQL's hashtextextended under "C"; value i is data[offsets[i]:offsets[i + 1]]."""
    for i in range(len(valid)):
        if valid[i]:
            out[i] = _of_bytes(data, offsets[i], offsets[i + 1] - offsets[i], seeds[i])
        else:
            out[i] = np.uint64(0)


@numba.njit(nogil=True, cache=True)
def of_uuids(data: Bytes, offsets: Ints, valid: Flags, seeds: Hashes, out: Hashes) -> bool:
    """uuid_hash_extended of UUIDs' texts; False if one is not 32 hex digits and hyphens."""
    sixteen = np.zeros(16, np.uint8)
    for i in range(len(valid)):
        out[i] = np.uint64(0)
        if not valid[i]:
            continue
        found = 0
        for at in range(offsets[i], offsets[i + 1]):
            letter = data[np.uint64(at)]
            if letter == 45:  # "-"
                continue
            if 48 <= letter <= 57:
                digit = letter - 48
            elif 97 <= letter <= 102:
                digit = letter - 87
            else:
                return False
            if found == 32:
                return False
            if found % 2 == 0:
                sixteen[found // 2] = digit << 4
            else:
                sixteen[found // 2] |= digit
            found += 1
        if found != 32:
            return False
        out[i] = _of_bytes(sixteen, 0, 16, seeds[i])
    return True


@numba.njit(inline="always")
def _of_digits(value: np.uint64, scale: int, seed: np.uint64, groups: Bytes) -> np.uint64:
    """hash_numeric_extended of value / 10^scale: its groups of four digits, and their weight."""
    power = np.uint64(1)
    for _ in range(scale):
        power *= np.uint64(10)
    whole, part = value // power, value % power
    for _ in range((4 - scale % 4) % 4):
        part *= np.uint64(10)
    behind = (scale + 3) // 4
    first, last = _LAST_GROUP, -1
    for n in range(_LAST_GROUP):  # from the last group of the fraction to the left
        if n < behind:
            digits, part = part % np.uint64(10000), part // np.uint64(10000)
        else:
            digits, whole = whole % np.uint64(10000), whole // np.uint64(10000)
        at = _LAST_GROUP - 1 - n
        groups[2 * at] = np.uint8(digits & np.uint64(255))
        groups[2 * at + 1] = np.uint8(digits >> np.uint64(8))
        if digits:
            first = at
            last = max(last, at)
    if last < 0:
        return seed - np.uint64(1)
    weight = _LAST_GROUP - 1 - behind - first
    hashed = _of_bytes(groups, 2 * first, 2 * (last - first + 1), seed)
    return hashed ^ np.uint64(np.int64(weight))


@numba.njit(nogil=True, cache=True)
def of_decimals(values: Ints, scale: int, valid: Flags, seeds: Hashes, out: Hashes) -> None:
    """hashint4extended(0 or 1 if negative, hash_numeric_extended(…)) of values / 10^scale."""
    groups = np.zeros(2 * _LAST_GROUP, np.uint8)
    for i in range(len(values)):
        out[i] = np.uint64(0)
        if valid[i]:
            size = np.uint64(-values[i]) if values[i] < 0 else np.uint64(values[i])
            digits = _of_digits(size, scale, seeds[i], groups)
            out[i] = _of_word(np.uint32(1 if values[i] < 0 else 0), digits)


@numba.njit(nogil=True, cache=True)
def ended(hashes: Hashes, out: Hashes) -> None:
    """hashint4extended(0, hash): what was joined by exclusive or is mixed anew."""
    for i in range(len(hashes)):
        out[i] = _of_word(np.uint32(0), hashes[i])


@numba.njit(nogil=True, cache=True)
def joined(hashes: Hashes, parts: Ints, sums: Hashes) -> None:
    """Joins every hash to the sum of its part by exclusive or."""
    for i in range(len(hashes)):
        sums[parts[i]] ^= hashes[i]


@numba.njit(nogil=True, cache=True)
def added(hashes: Hashes, copies: Ints, parts: Ints, sums: Hashes) -> None:
    """Adds every hash, so many times, to the sum of its part, modulo 2^64."""
    for i in range(len(hashes)):
        sums[parts[i]] += hashes[i] * np.uint64(copies[i])
