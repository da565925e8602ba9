"""Arrays: every element masked for itself.

Here: reading and writing PostgreSQL's text form of an array. Not here: the masks. The shape is
kept (how many elements, in which dimensions, which are NULL); what the elements are is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa

_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([{},])|([^{},"]+)', re.DOTALL)
_BOUNDS: Final = re.compile(r"^[\[\]0-9:-]+=")
_PLAIN: Final = re.compile(r"^[A-Za-z0-9_@.*+:/-]+$")

Piece = tuple[bool, str | None]
"""Whether it is an element, and its text (None for a NULL); else punctuation."""


def apply_elements(texts: pa.Array, apply: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The arrays with `apply` applied to all their elements at once; '' is not an array's text."""
    encoded = texts.dictionary_encode()
    pieces = [list(_pieces(text)) for text in encoded.dictionary.to_pylist()]
    elements = [text for array in pieces for is_element, text in array if is_element]
    masked = iter(apply(pa.array(elements, pa.string())).to_pylist())
    made = [
        "".join(_element(next(masked)) if is_element else str(text) for is_element, text in array)
        for array in pieces
    ]
    return pa.array(made, pa.string()).take(encoded.indices)


def _pieces(text: str) -> Iterator[Piece]:
    """The array's punctuation and elements, in order; bounds are left out."""
    for found in _TOKEN.finditer(_BOUNDS.sub("", text)):
        quoted, mark, bare = found.groups()
        if mark is not None:
            yield False, mark
        elif quoted is not None:
            yield True, re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        else:
            yield True, None if bare == "NULL" else bare


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if _PLAIN.match(text) and text.upper() != "NULL":
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
