"""The personal values of the shop, and finding them among any bytes.

Here: reading a sample of them from production, and looking for them in bytes: first for a rare
marker, which is nearly as fast as reading, then exactly. Not here: where bytes come from
(demo.leaks), how the values are made (shop.people).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.demo.forms import REACH, Trace, sieves
from analytics_replica.demo.shop.people import (
    DIGIT_MARKER,
    MARKER,
    WORD_EDGE,
    Kind,
    kind_of_word,
)
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import connect
from analytics_replica.postgres.identifiers import compose, name, table

PERSONAL: Final = {
    TableName("shop", "customers"): ("email", "full_name", "phone"),
    TableName("shop", "customer_profiles"): ("notes", "attributes"),
    TableName("crm", "legacy_users"): ("name", "email", "phone"),
    TableName("shop", "addresses"): ("line1", "line2"),
    TableName("shop", "payments"): ("payer_email", "card_number"),
    TableName("shop", "refunds"): ("reason",),
    TableName("shop", "shipments"): ("recipient", "tracking_no"),
    TableName("shop", "support_tickets"): ("email", "subject", "body"),
}
"""The columns whose values must never be found outside production."""

_SAMPLE: Final = """
-- the same sample every time: in the order of a hash, not of the table
select {column}::text from {table}
where {column} is not null
order by hashtext({column}::text), {column}::text
limit %s
"""

_WORD: Final = re.compile(rf"[a-z]{{{WORD_EDGE}}}{MARKER}[a-z]{{{WORD_EDGE}}}")
_EMAIL: Final = re.compile(rf"[a-z.]*{MARKER}[a-z0-9.]*@(?P<domain>[a-z.-]+[a-z])")
# Ten digits in a row are compared only where they do not continue, also not as hex: a digest or
# a uuid may hold any ten digits.
_PHONE: Final = re.compile(
    rf"(?<!\d){DIGIT_MARKER}(?:[ -]\d{{3}}[ -]\d{{4}}|\) \d{{3}}-\d{{4}})(?!\d)"
    rf"|(?:(?<![0-9a-f])|(?<=\+1)|(?<=%2b1)|(?<=[^0-9a-f]1)){DIGIT_MARKER}\d{{7}}(?![0-9a-f])"
)
_CARD: Final = re.compile(rf"(?<!\d){DIGIT_MARKER}\d(?: ?\d{{4}}){{3}}(?!\d)")
_REST_OF_LOCAL_PART: Final = re.compile(r"[a-z0-9.]*@")
_LONGEST_FIRST_NAME: Final = 12


@dataclass(frozen=True)
class PlantedValues:
    """Personal values that production holds, in small letters or bare digits. Never shown."""

    words: frozenset[str] = field(repr=False)
    emails: frozenset[str] = field(repr=False)
    phones: frozenset[str] = field(repr=False)
    cards: frozenset[str] = field(repr=False)
    domains: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> PlantedValues:
        """All personal values in these texts, however they are spelt."""
        found: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        domains: set[str] = set()
        for text in map(str.lower, texts):
            found[Kind.NAME].update(_WORD.findall(text))
            for email in _EMAIL.finditer(text):
                found[Kind.EMAIL].add(email[0])
                domains.add(email["domain"])
            found[Kind.PHONE].update(map(_digits, _PHONE.findall(text)))
            found[Kind.CARD].update(map(_digits, _CARD.findall(text)))
        words, emails = frozenset(found[Kind.NAME]), frozenset(found[Kind.EMAIL])
        phones, cards = frozenset(found[Kind.PHONE]), frozenset(found[Kind.CARD])
        return cls(words, emails, phones, cards, frozenset(domains))

    def __or__(self, other: PlantedValues) -> PlantedValues:
        return PlantedValues(
            self.words | other.words,
            self.emails | other.emails,
            self.phones | other.phones,
            self.cards | other.cards,
            self.domains | other.domains,
        )

    def __len__(self) -> int:
        return len(self.words) + len(self.emails) + len(self.phones) + len(self.cards)

    def kind_at(self, text: str, at: int) -> Kind | None:
        """What personal value has its marker at this place of a text in small letters, if any."""
        if text.startswith(MARKER, at):
            return self._word_at(text, at)
        for kind, digits in numbers_at(text, at):
            if digits in (self.cards if kind is Kind.CARD else self.phones):
                return kind
        return None

    def _word_at(self, text: str, at: int) -> Kind | None:
        word = text[max(0, at - WORD_EDGE) : at + len(MARKER) + WORD_EDGE]
        if word not in self.words:
            return None
        return Kind.EMAIL if self._is_email_at(text, at) else kind_of_word(word)

    def _is_email_at(self, text: str, at: int) -> bool:
        """Tries every beginning: in a database's file the value's length may stick to it."""
        rest = _REST_OF_LOCAL_PART.match(text, at)
        if rest is None:
            return False
        ends = [rest.end() + len(d) for d in self.domains if text.startswith(d, rest.end())]
        begins = range(max(0, at - WORD_EDGE - _LONGEST_FIRST_NAME), at)
        return any(text[begin:end] in self.emails for begin in begins for end in ends)


class Planted(Protocol):
    """What a search looks for: values that hold the markers of shop.people."""

    def __len__(self) -> int:
        """How many values there are."""
        ...

    def kind_at(self, text: str, at: int) -> Kind | None:
        """What planted value has its marker at this place of a text in small letters, if any."""
        ...


def numbers_at(text: str, at: int) -> Iterator[tuple[Kind, str]]:
    """The digits of a card number, then of a telephone number, that begin at this place."""
    for kind, pattern in ((Kind.CARD, _CARD), (Kind.PHONE, _PHONE)):
        if found := pattern.match(text, at):
            yield kind, _digits(found[0])


def planted_values(production_dsn: str, limit: int = 5_000) -> PlantedValues:
    """A sample of the personal values in production, at most `limit` of each personal column.

    The same database gives the same sample. Needs a role that may read production's tables.
    """
    return PlantedValues.of(_texts(production_dsn, limit))


class Scanner:
    """Counts planted values in bytes that come in pieces; a value may lie across two pieces."""

    def __init__(self, planted: Planted) -> None:
        self._planted = planted
        self._held = b""
        self._fresh = 0
        self.found: Counter[Kind] = Counter()

    def feed(self, piece: bytes) -> None:
        """The next bytes. What may still go on in the next piece is looked at then."""
        bytes_ = self._held + piece if self._held else piece
        stop = len(bytes_) - REACH
        if stop <= self._fresh:
            self._held = bytes_
            return
        self._look(bytes_, self._fresh, stop)
        keep = max(0, stop - REACH)
        self._held, self._fresh = bytes_[keep:], stop - keep

    def end(self) -> None:
        """No more bytes come: what was held back is looked at."""
        self._look(self._held, self._fresh, len(self._held))
        self._held, self._fresh = b"", 0

    def _look(self, bytes_: bytes, start: int, stop: int) -> None:
        if start >= stop:
            return
        value = pa.array([bytes_], pa.binary())
        for sieve in _SIEVES:
            # Arrow's RE2 passes over 0.6 to 15 GB/s, Python's `re` over 1.1 (2026-11-21), so that
            # only sees pieces in which something may be found, in a form that may be there.
            if _holds(value, sieve.pattern):
                for trace in sieve.traces:
                    if len(sieve.traces) == 1 or _holds(value, trace.pattern):
                        self._compare(trace, bytes_, start, stop)

    def _compare(self, trace: Trace, bytes_: bytes, start: int, stop: int) -> None:
        for match in trace.compiled.finditer(bytes_, start):
            if match.start() >= stop:
                break
            kind = self._planted.kind_at(*trace.read(bytes_, match.start()))
            if kind is not None:
                self.found[kind] += 1


def _holds(value: pa.Array, pattern: str) -> bool:
    return bool(pc.match_substring_regex(value, pattern)[0].as_py())


def _texts(production_dsn: str, limit: int) -> Iterator[str]:
    with closing(connect(production_dsn)) as opened, opened.cursor() as cursor:
        for of, columns in PERSONAL.items():
            for column in columns:
                query = compose(_SAMPLE, column=name(column), table=table(of))
                cursor.execute(str(query), (limit,))
                yield from (text for (text,) in cursor.fetchall())


def _digits(spelt: str) -> str:
    return re.sub(r"\D", "", spelt)


_NUMBER: Final = (
    rf"{DIGIT_MARKER}(?:[ -][0-9]{{3}}[ -]|\) [0-9]{{3}}-|[0-9]{{7}}|[0-9] [0-9]{{4}} [0-9])"
)
_SIEVES: Final = sieves(MARKER, DIGIT_MARKER, _NUMBER)
