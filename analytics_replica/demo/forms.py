"""The forms that a text takes among bytes: UTF-8, UTF-16, hex, base64, percent and JSON escapes.

Here: what a marker looks like in each form, and how to read the text around it. Not here: which
texts are personal (demo.planted), unpacking (demo.disk). Known limit: one form at a time, except
that escapes may stand inside a packed file or a dumped row; base64 is read within one line.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

REACH: Final = 256
"""Bytes on each side of a marker that belong to a value, in the widest form."""

Read = Callable[[bytes, int], tuple[str, int]]
"""From bytes and the place of a trace to the text around it, in small letters, and where there."""

_QUANTUM: Final = 4
_ALPHABET: Final = rb"A-Za-z0-9+/_-"
_BEFORE: Final = re.compile(rb"[%s]*\Z" % _ALPHABET)
_AFTER: Final = re.compile(rb"[%s]*" % _ALPHABET)
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_ONLY_HEX: Final = bytes(b if chr(b) in "0123456789abcdefABCDEF" else ord("0") for b in range(256))
_AT: Final = re.compile(rb"%40|\\+u0040")
_ESCAPED: Final = re.compile(
    rb"%(?P<percent>[0-9A-Fa-f]{2})|\\*[uU]00(?P<json>[0-9A-Fa-f]{2})|(?P<plus>\+)"
)


_ESCAPES: Final = (("%", "%"), ("u00", r"\\+u00"))
"""Before the first letter and between two: JSON in JSON has more than one backslash."""


@dataclass(frozen=True)
class Trace:
    """What the beginning of a value looks like in one form, and how to read it there."""

    pattern: str
    read: Read

    @cached_property
    def compiled(self) -> re.Pattern[bytes]:
        """The same pattern for Python."""
        return re.compile(self.pattern.encode("ascii"))


@dataclass(frozen=True)
class Sieve:
    """Traces that are looked for at once: where `pattern` matches nothing, none of them is."""

    traces: tuple[Trace, ...]

    @cached_property
    def pattern(self) -> str:
        """Any of the traces."""
        return "|".join(trace.pattern for trace in self.traces)


def sieves(marker: str, digits: str, number: str) -> tuple[Sieve, Sieve]:
    """All forms of a word with this marker (lower case) and of a number with these first digits.

    `number` is a pattern of what may follow the digits in plain text, so that not every number
    that begins so is looked at. It is frequent in data of any kind, so it stands alone.
    """
    words = (marker, marker.upper())
    markers = (*words, digits)
    every = (
        *(Trace(word, _read_plain) for word in words),
        *(Trace(r"\x00".join(m), _read_utf16) for m in markers),
        *(Trace(h, _read_hex) for m in markers for h in _hexes(m)),
        *(trace for m in markers for trace in _base64(m)),
        *(Trace(_escaped(m, how), _read_escaped) for m in markers for how in _ESCAPES),
        # escaped are only the spaces, brackets or signs, as a browser sends a number
        Trace(digits + r"[0-9]?(?:\+|%20|%2[dD]|%29)[%+0-9]", _read_escaped),
        # sixteen bytes as an address or a uuid; the word begins at an even one
        *(Trace(_grouped(marker, sign), partial(_read_grouped, sign=sign)) for sign in ":-"),
    )
    return Sieve((Trace(number, _read_plain),)), Sieve(every)


def _read_plain(bytes_: bytes, at: int) -> tuple[str, int]:
    """Bytes that are a text already."""
    begin = max(0, at - REACH)
    after = _AT.sub(b"@", bytes_[at : at + REACH])
    return (bytes_[begin:at] + after).decode("latin-1").lower(), at - begin


def _read_utf16(bytes_: bytes, at: int) -> tuple[str, int]:
    begin = max(at % 2, at - REACH)
    return bytes_[begin : at + REACH : 2].decode("latin-1").lower(), (at - begin) // 2


def _read_hex(bytes_: bytes, at: int) -> tuple[str, int]:
    begin = max(at % 2, at - REACH)
    return _from_hex(bytes_[begin : at + REACH]), (at - begin) // 2


def _read_grouped(bytes_: bytes, at: int, sign: str) -> tuple[str, int]:
    begin = max(0, at - REACH)
    before = bytes_[begin:at].replace(sign.encode(), b"")
    before = before[len(before) % 2 :]
    after = bytes_[at : at + REACH].replace(sign.encode(), b"")
    return _from_hex(before + after), len(before) // 2


def _read_escaped(bytes_: bytes, at: int) -> tuple[str, int]:
    # The backslashes before the first `u` belong to it.
    begin = max(0, at - REACH)
    before = _unescaped(bytes_[begin:at].rstrip(b"\\"))
    return before + _unescaped(bytes_[at : at + REACH]), len(before)


def _read_base64(bytes_: bytes, at: int, begins: int) -> tuple[str, int]:
    """`begins`: how many characters of the quantum stand before the trace."""
    start = at - begins
    if start < 0:
        return "", 0
    run = _BEFORE.search(bytes_[max(0, start - REACH) : start])
    back = (len(run[0]) if run else 0) // _QUANTUM * _QUANTUM
    after = _AFTER.match(bytes_, start, start + REACH)
    before = _from_base64(bytes_[start - back : start])
    return before + _from_base64(after[0] if after else b""), len(before) + begins * 3 // _QUANTUM


def _base64(marker: str) -> Iterator[Trace]:
    """What a marker leaves for certain, wherever it stands among three bytes."""
    for offset in range(3):
        low, high = (
            base64.b64encode(fill * offset + marker.encode() + fill * 3).decode()
            for fill in (b"\0", b"\xff")
        )
        same = [i for i, (a, b) in enumerate(zip(low, high, strict=True)) if a == b != "="]
        first = {0: 0, 1: 2, 2: 3}[offset]
        begins = partial(_read_base64, begins=first)
        yield Trace("".join(low[i] for i in same), begins)


def _from_base64(chars: bytes) -> str:
    whole = chars.translate(_STANDARD)
    whole = whole[: len(whole) - (len(whole) % _QUANTUM == 1)]
    decoded = base64.b64decode(whole + b"=" * (-len(whole) % _QUANTUM))
    return decoded.decode("latin-1").lower()


def _from_hex(chars: bytes) -> str:
    pairs = chars.translate(_ONLY_HEX)
    return bytes.fromhex(pairs[: len(pairs) // 2 * 2].decode("ascii")).decode("latin-1").lower()


def _unescaped(bytes_: bytes) -> str:
    def plain(found: re.Match[bytes]) -> bytes:
        code = found["percent"] or found["json"]
        return b" " if code is None else bytes([int(code, 16)])

    return _ESCAPED.sub(plain, bytes_).decode("latin-1").lower()


def _hexes(marker: str) -> set[str]:
    low = marker.encode().hex()
    return {low, low.upper()}


def _escaped(marker: str, how: tuple[str, str]) -> str:
    first, following = how
    codes = [_either(f"{ord(letter):02x}") for letter in marker]
    return first + following.join(codes)


def _either(pair: str) -> str:
    return "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in pair)


def _grouped(marker: str, sign: str) -> str:
    first, *rest = (f"{ord(letter):02x}" for letter in marker)
    return first + sign + "".join(rest) + sign
