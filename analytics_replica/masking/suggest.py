"""What the policy could say about a table that nobody classified yet, from names and types only.

Here: a rule for every column, with its reason. Not here: the words (signs.py), what the policy
does say (policy.py), writing replica.yaml (cli). No value is ever looked at.

Nothing unsafe is kept by default: a column is kept if its type and name say that it is machinery;
what is neither that nor plainly personal becomes NULL and waits for a person's decision.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.tables import Column, Table
from analytics_replica.masking.signs import (
    MACHINERY,
    NULL,
    PEOPLE,
    PROCESS_DATE,
    SIGNS,
    WORDS,
    Kind,
    token,
)
from analytics_replica.masking.strategies import STRATEGIES
from analytics_replica.settings.rules import ColumnRule, Mask


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule for one column and why. `decide` marks those that a person must look at."""

    rule: ColumnRule
    reason: str
    decide: bool = False


def suggest(table: Table) -> Mapping[str, Suggestion]:
    """A rule for every column of the table, in column order, that `Policy.check` accepts.

    From names and types alone. Columns that identify rows get a rule that keeps rows apart.
    """
    about_people = PEOPLE.search(words_of(table.name.name)) is not None
    return {c.name: _for_column(c, about_people=about_people) for c in table.columns}


def words_of(name: str) -> str:
    """The name in snake case and ASCII letters; what cannot be written so is left out."""
    broken = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    latin = broken.translate(_SPELT)
    plain = unicodedata.normalize("NFKD", latin).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


_SPELT: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae"})
"""Letters that have no decomposition in Unicode."""


def _for_column(column: Column, *, about_people: bool) -> Suggestion:
    words, kind = words_of(column.name), Kind.of(column)
    found = _by_name(words, kind, about_people=about_people) or _by_type(column.name, words, kind)
    if column.key:
        return _for_key(words, found)
    if isinstance(found.rule, Mask):
        return Suggestion(_fitting(found.rule, column, kind), found.reason, found.decide)
    return found


def _by_name(words: str, kind: Kind, *, about_people: bool) -> Suggestion | None:
    for sign in SIGNS:
        if sign.fits(words, kind):
            return Suggestion(sign.mask or "drop", sign.reason)
    if about_people and kind in WORDS and re.search(r"(?:^|_)names?$", words):
        return Suggestion(token("person_name"), "a person's name")
    return None


def _by_type(name: str, words: str, kind: Kind) -> Suggestion:
    if kind in {Kind.FLAG, Kind.MOMENT, Kind.UUID}:
        return _KEEP[kind]
    if not _is_readable(name, words):
        return Suggestion(NULL, "its name is in a script that is not known here", decide=True)
    match kind:
        case Kind.NUMBER:
            return _KEEP[kind]
        case Kind.DATE if PROCESS_DATE.search(words):
            return _KEEP[kind]
        case Kind.TEXT | Kind.OWN if MACHINERY.search(words):
            return Suggestion("keep", "a code")
        case Kind.JSON:
            return Suggestion(Mask(mask="json"), "name under keep what may pass", decide=True)
        case Kind.NETWORK:
            return Suggestion(token("device"), "an address of a person's device")
        case _:
            reason = "neither its name nor its type says that it is harmless"
            return Suggestion(NULL, reason, decide=True)


_KEEP: Final[Mapping[Kind, Suggestion]] = {
    Kind.NUMBER: Suggestion("keep", "a number"),
    Kind.FLAG: Suggestion("keep", "yes or no"),
    Kind.DATE: Suggestion("keep", "a day"),
    Kind.MOMENT: Suggestion("keep", "a time"),
    Kind.UUID: Suggestion("keep", "an identifier"),
}


def _is_readable(name: str, words: str) -> bool:
    """Whether every letter of the name is left in its words."""
    letters = sum(character.isalnum() for character in name.translate(_SPELT))
    return bool(words) and sum(character.isalnum() for character in words) >= letters


def _for_key(words: str, found: Suggestion) -> Suggestion:
    """The suggestion for a column that identifies rows: kept, or a token that keeps rows apart."""
    if found.rule == "keep":
        return Suggestion("keep", "identifies the row")
    domain = found.rule.domain if isinstance(found.rule, Mask) else None
    reason = f"identifies the row; {found.reason}" if domain else "identifies the row"
    return Suggestion(token(domain or words or "key"), reason, decide=domain is None)


def _fitting(mask: Mask, column: Column, kind: Kind) -> Mask:
    """The mask if it fits the column's type, else the nearest one that fits every type."""
    types = STRATEGIES[mask.name].types
    if types is not None and column.type_oid in types:
        return mask
    if kind is Kind.OTHER or (types is not None and mask.mask != "email"):
        return NULL
    if types is None:
        return mask
    return Mask(mask="token", domain=mask.domain, normalise="trim_lower")
