"""What a sample of a column's values says about what the column holds.

Here: from values to shares ("93 % of 2,000 values are e-mail addresses"); pure. Not here: one value
(detectors.py), reading a sample (landing.sampling), what follows from the shares (suggest.py). The
values are looked at and forgotten: what comes out has counts, and no error has a value in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from analytics_replica.masking.detectors import (
    BORN,
    INSIDE,
    LIKELY,
    PERSONAL,
    day_of,
    in_array,
    national_formats,
)

MOST: Final = 0.5
"""The share from which on a column holds what was found in it."""

ONE_FORMAT: Final = 0.8
"""The share from which on numbers are those of one country: one in ten has its check digit by
chance."""

SOME: Final = 0.005
"""The share from which on a column holds something personal among other things."""

BY_CHANCE: Final = {"card": 0.2, "national_id": 1.0}
"""Shares of plain numbers that have a right check digit without being what it checks."""

NOUNS: Final[Mapping[str, str]] = {
    "email": "e-mail addresses",
    "phone": "phone numbers",
    "card": "card or account numbers",
    "ip": "network addresses",
    "device": "addresses of devices",
    "national_id": "official numbers of persons",
    "secret": "secrets (hashes of passwords, keys)",
    "birth_date": "dates of birth",
    "name": "names of persons (or things)",
    "address": "street addresses",
    "postcode": "postcodes",
    "free_text": "sentences",
}
"""What a class's values are called in a sentence."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a sample says, in counts and shares; no value is in it.

    `sampled` counts the values that were neither NULL nor empty, `distinct` the different ones.
    `shares` are between 0 and 1, for each class that was found: `personal` ones by a parser or a
    check digit, `likely` ones by their looks. `inside` is the share of longer texts in which an
    e-mail address, a phone, card or account number stands.
    """

    sampled: int
    distinct: int = 0
    personal: Mapping[str, float] = field(default_factory=dict)
    likely: Mapping[str, float] = field(default_factory=dict)
    inside: float = 0.0

    @property
    def holds(self) -> str | None:
        """The class that most values are of, proven by a parser or check digit; None if none."""
        return _largest(self.personal, MOST)

    @property
    def resembles(self) -> str | None:
        """The class that most values look like, which a parser cannot prove; None if none."""
        return _largest(self.likely, MOST)

    @property
    def traces(self) -> str | None:
        """The class of which there are some among other values, or `free_text` for inside texts."""
        found = {
            name: share
            for name, share in self.personal.items()
            if share >= max(SOME, BY_CHANCE.get(name, 0)) and share * self.sampled > 1
        }
        if self.inside >= SOME:
            found["free_text"] = self.inside
        return _largest(found, 0)

    @property
    def are_codes(self) -> bool:
        """True if few different values come again and again, as codes of our own making do."""
        return 0 < self.distinct <= 100 and 10 * self.distinct <= self.sampled

    def __str__(self) -> str:
        """The strongest finding as a sentence without a value; empty if nothing was found."""
        of = f"of {self.sampled:,} sampled values"
        if (name := self.holds) is not None:
            return f"{_percent(self.personal[name])} {of} are {NOUNS[name]}"
        if self.inside >= SOME and self.inside >= max(self.personal.values(), default=0):
            return f"{_percent(self.inside)} {of} have an address or a number of a person inside"
        if (name := self.traces) is not None:
            return f"{_percent(self.personal[name])} {of} are {NOUNS[name]}"
        if (name := self.resembles) is not None:
            return f"{_percent(self.likely[name])} {of} look like {NOUNS[name]}"
        return ""


def look_at(values: Iterable[str | None], *, array: bool = False) -> Evidence:
    """The evidence of these values, as PostgreSQL prints them; NULL and empty ones say nothing.

    `array` says that they are printed arrays, of which every element is looked at.
    """
    texts = (text for value in values if value for text in (in_array(value) if array else (value,)))
    counted = Counter(stripped for text in texts if (stripped := text.strip()))
    sampled = counted.total()
    if not sampled:
        return Evidence(0)
    personal, likely, formats = Counter[str](), Counter[str](), Counter[str]()
    inside = 0
    for text, times in counted.items():
        for name, is_one in PERSONAL.items():
            personal[name] += times if is_one(text) else 0
        for name, is_one in LIKELY.items():
            likely[name] += times if is_one(text) else 0
        formats.update(dict.fromkeys(national_formats(text), times))
        inside += times if INSIDE(text) else 0
    most = max(formats.values(), default=0)
    personal["national_id"] = most if most >= ONE_FORMAT * sampled else 0
    if _are_births(counted):
        likely["birth_date"] = sampled
    return Evidence(
        sampled,
        len(counted),
        _shares(personal, sampled),
        _shares(likely, sampled),
        inside / sampled,
    )


def _are_births(counted: Counter[str]) -> bool:
    """True if these are days that lie as birthdays of living people do: decades apart."""
    days = [day for text in counted if (day := day_of(text)) is not None]
    if len(days) < max(3, 0.9 * len(counted)):
        return False
    first, last = min(days), max(days)
    return BORN[0] <= first <= BORN[1] and last - first >= BORN[2]


def _shares(counted: Counter[str], of: int) -> dict[str, float]:
    return {name: count / of for name, count in counted.items() if count}


def _largest(shares: Mapping[str, float], least: float) -> str | None:
    name = max(shares, key=lambda one: shares[one], default=None)
    return name if name is not None and shares[name] >= least else None


def _percent(share: float) -> str:
    """A share for people: never 0 % for some, never 100 % for not all."""
    whole = round(100 * share)
    if share < 0.01:
        return f"{100 * share:.1f} %"
    return f"{min(whole, 99) if share < 1 else whole} %"
