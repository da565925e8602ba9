"""JSON documents: what the policy names may pass or is masked by path, all else is removed.

Here: the mask json. Not here: the masks of single values, which it uses (one strategy, one
function, wherever a value stands). A name that the policy does not know is removed with its value,
because names hold personal data, too ({"ada@example.org": true}).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa

from analytics_replica.settings.paths import parse_path
from analytics_replica.settings.rules import Mask

ApplyAny = Callable[[pa.Array, Mask, bytes], pa.Array]

_LARGEST_EXPONENT: Final = 1000
_LONGEST_NUMBER: Final = 1000


class _Number(str):
    """A JSON number as it was written, so that no digit is lost."""

    __slots__ = ()


@dataclass
class _Place:
    """What may pass at one place of a document."""

    rule: Literal["keep"] | Mask | None = None
    names: dict[str, _Place] = field(default_factory=dict)
    items: _Place | None = None


class _Items(dict[int, Any]):
    """The items of an array that may pass, by position."""


@dataclass
class _Slot:
    """A value that a mask is to change, where it will stand."""

    holder: Any
    at: Any


def apply_json(texts: pa.Array, mask: Mask, key: bytes, apply: ApplyAny) -> pa.Array:
    """The documents with only what the policy names; NULL for what is not an object.

    `apply` masks the values at one path, all of them at once.
    """
    root = _places(mask.paths)
    encoded = texts.dictionary_encode()
    waiting: dict[int, tuple[Mask, list[_Slot]]] = {}
    made = [_document(text, root, waiting) for text in encoded.dictionary.to_pylist()]
    for inner, slots in waiting.values():
        values = pa.array([_text(slot.holder[slot.at]) for slot in slots], pa.string())
        for slot, value in zip(slots, apply(values, inner, key).to_pylist(), strict=True):
            slot.holder[slot.at] = value
    written = pa.array([None if m is None else _written(m) for m in made], pa.string())
    return written.take(encoded.indices)


def _places(paths: Mapping[str, Literal["keep"] | Mask]) -> _Place:
    root = _Place()
    for path, rule in paths.items():
        place = root
        for step in parse_path(path):
            if step is None:
                place.items = place.items or _Place()
                place = place.items
            else:
                place = place.names.setdefault(step, _Place())
        place.rule = rule
    return root


def _document(
    text: str, root: _Place, waiting: dict[int, tuple[Mask, list[_Slot]]]
) -> dict[str, Any] | None:
    try:
        found = json.loads(text, parse_float=_Number, parse_int=_Number)
    except (ValueError, RecursionError):
        return None  # PostgreSQL took it, so it is nested deeper than Python reads
    if not isinstance(found, dict):
        return None
    holder: dict[str, Any] = {}
    _pass(found, root, holder, "", waiting)
    kept: dict[str, Any] = holder[""]
    return kept


def _pass(
    value: Any,
    place: _Place,
    holder: Any,
    at: Any,
    waiting: dict[int, tuple[Mask, list[_Slot]]],
) -> None:
    """Puts what may pass of the value into `holder[at]`; nothing if nothing may."""
    if isinstance(value, dict):
        if place.names or at == "":
            holder[at] = inside = dict[str, Any]()
            # In the policy's order: equal documents are equal texts in every process.
            for name in [known for known in place.names if known in value]:
                _pass(value[name], place.names[name], inside, name, waiting)
    elif isinstance(value, list):
        if place.items is not None:
            holder[at] = items = _Items()
            for position, item in enumerate(value):
                _pass(item, place.items, items, position, waiting)
    elif place.rule == "keep":
        holder[at] = value if _fits_jsonb(value) else None
    elif isinstance(place.rule, Mask):
        holder[at] = value
        if value is not None:
            _, slots = waiting.setdefault(id(place.rule), (place.rule, []))
            slots.append(_Slot(holder, at))


def _text(value: Any) -> str | None:
    """A scalar as its mask sees it; None for a text that cannot be written in UTF-8."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if _is_utf8(text) else None


def _fits_jsonb(scalar: Any) -> bool:
    """Whether PostgreSQL's jsonb takes it; its json takes more."""
    if isinstance(scalar, _Number):
        exponent = re.search(r"[eE]([+-]?\d+)$", scalar)
        small = exponent is None or (
            len(exponent[1]) < 6 and abs(int(exponent[1])) <= _LARGEST_EXPONENT
        )
        return small and len(scalar) <= _LONGEST_NUMBER
    return not isinstance(scalar, str) or ("\0" not in scalar and _is_utf8(scalar))


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _written(value: Any) -> str:
    if isinstance(value, _Items):
        return "[" + ", ".join(_written(item) for item in value.values()) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(_pairs(value)) + "}"
    return str(value) if isinstance(value, _Number) else json.dumps(value)


def _pairs(value: Mapping[str, Any]) -> Iterator[str]:
    for name, inner in value.items():
        yield f"{json.dumps(name)}: {_written(inner)}"
