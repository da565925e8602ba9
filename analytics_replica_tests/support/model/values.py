"""Random values of the model's columns: the kinds of columns, and what stands in them.

Here: types, values and masks that fit; pure. Not here: every type that exists
(properties/test_values_survive.py): these are the ones that PostgreSQL and DuckDB print alike.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

ODD_TEXTS: Final = (
    "", " ", "null", "NULL", "\\N", "\\", '"', "'", "a,b", "line\nbreak", "tab\t", "Łódź",
    "\U0001f600", "{}", "%s", "0", "-1", "t",
)  # fmt: skip

TOKEN: Final = {"mask": "token", "domain": "model"}
ANY_MASK: Final[tuple[Any, ...]] = (TOKEN, {"mask": "null"})
TEXT_MASKS: Final[tuple[Any, ...]] = (
    {"mask": "last4"},
    {"mask": "redact"},
    {"class": "email"},
    {"class": "phone", "region": "US"},
)
DATE_MASKS: Final[tuple[Any, ...]] = (
    {"mask": "null"},
    {"mask": "year"},
    {"mask": "age_band", "as_of": "2026-01-01"},
)


@dataclass(frozen=True)
class Kind:
    """A kind of column: its type in production, its values, the rules that fit it."""

    type: str
    draw: Callable[[random.Random], Any]
    rules: tuple[Any, ...]


def _text(rng: random.Random) -> str:
    return rng.choice(ODD_TEXTS) if rng.random() < 0.5 else f"{rng.getrandbits(48):x}"


def _toast(rng: random.Random) -> str:
    """Sometimes in line, mostly out of line: then an update beside it does not log it."""
    return f"{rng.getrandbits(32):08x}" * rng.choice((1, 400, 500))


def _numeric(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return "NaN"
    return f"{rng.randint(-(10**9), 10**9)}.{rng.randint(0, 99):02d}"


def _date(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return rng.choice(("infinity", "-infinity", "0044-03-15 BC"))
    return f"{rng.randint(1900, 2100)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _json(rng: random.Random) -> str:
    return f'{{"b": {rng.randint(0, 9)}, "a": [null, "{rng.randint(0, 99)}"]}}'


KINDS: Final[Mapping[str, Kind]] = {
    "int": Kind("integer", lambda rng: rng.randint(-(2**31), 2**31 - 1), (TOKEN,)),
    "bigint": Kind("bigint", lambda rng: rng.randint(-(2**63), 2**63 - 1), ANY_MASK),
    "text": Kind("text", _text, (*ANY_MASK, *TEXT_MASKS)),
    "toast": Kind("text", _toast, (TOKEN, *TEXT_MASKS)),
    "uuid": Kind("uuid", lambda rng: str(uuid.UUID(int=rng.getrandbits(128))), ANY_MASK),
    "numeric": Kind("numeric(12,2)", _numeric, (*ANY_MASK, {"mask": "bucket", "width": 1000})),
    "date": Kind("date", _date, DATE_MASKS),
    "jsonb": Kind("jsonb", _json, ({"mask": "json", "paths": {"b": "keep"}},)),
    "counter": Kind("bigint generated always as identity", lambda _: None, ("keep",)),
}

ROWS: Final = 25
"""Each table's keys are made of the numbers below this: few enough that writers meet."""


def key_value(kind: str, number: int) -> Any:
    """The value of a key column for the row with this number; different for each number."""
    match kind:
        case "uuid":
            return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))
        case "text":
            return f"{ODD_TEXTS[number % len(ODD_TEXTS)]}{number}"
        case _:
            return number
