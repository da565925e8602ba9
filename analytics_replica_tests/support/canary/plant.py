"""Planted values: personal data that exist once in the world, each known by where it was put.

Here: making them, the same for the same seed, and recognising them in what was found. Not here:
the tables they are put into (world.py), the search (demo.leaks). Every value holds a word of nine
letters around the demo's marker, or is a telephone or card number of its own; so a value that is
cut, changed in case, or in the middle of something else is found, too.
"""

from __future__ import annotations

import json
import random
import string
import uuid
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from analytics_replica.demo.planted import numbers_at
from analytics_replica.demo.shop.people import (
    MARKER,
    WORD_EDGE,
    Kind,
    person,
    spelled_card,
    spelled_email,
    spelled_phone,
)

HOSTS = ("mailbox.example", "post.example")
"""E-mail masks keep hosts, so these are nobody's."""


@dataclass
class Canaries:
    """Planted values, where each was put, and from where those came that were found.

    It is asked by the search like any other set of planted values.
    """

    seed: int = 1
    words: dict[str, str] = field(default_factory=dict, repr=False)
    digits: dict[str, str] = field(default_factory=dict, repr=False)
    escaped: Counter[str] = field(default_factory=Counter)
    """Places whose values were found, and how often."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __len__(self) -> int:
        return len(self.words) + len(self.digits)

    def kind_at(self, text: str, at: int) -> Kind | None:
        """What the search asks: the kind of a planted value at this place, None for others."""
        if text.startswith(MARKER, at):
            word = text[max(0, at - WORD_EDGE) : at + len(MARKER) + WORD_EDGE]
            return self._told(Kind.NAME, self.words.get(word))
        for kind, digits in numbers_at(text, at):
            if digits in self.digits:
                return self._told(kind, self.digits[digits])
        return None

    def _told(self, kind: Kind, place: str | None) -> Kind | None:
        if place is None:
            return None
        self.escaped[place] += 1
        return kind

    def word(self, place: str) -> str:
        """Nine letters that stand nowhere else."""
        while True:
            edges = "".join(self._random.choices(string.ascii_lowercase, k=2 * WORD_EDGE))
            word = edges[:WORD_EDGE] + MARKER + edges[WORD_EDGE:]
            if word not in self.words and word.count(MARKER) == 1:
                self.words[word] = place
                return word

    def name(self, place: str) -> str:
        """First name and surname."""
        return f"{person(len(self), self.seed).first} {self.word(place).title()}"

    def email(self, place: str) -> str:
        """An address, clean or as people type it."""
        number, word = len(self), self.word(place)
        return spelled_email(f"{word[:2]}.{word}{number}@{HOSTS[number % 2]}", number)

    def street(self, place: str) -> str:
        """A street with a number."""
        return f"{len(self) % 180} {self.word(place).title()} Straße"

    def iban(self, place: str) -> str:
        """An IBAN with the right check digits, of the country whose accounts may hold letters."""
        number = f"{len(self):09d}"
        account = f"MALT01100{number}{self.word(place).upper()}"
        value = int("".join(str(int(letter, 36)) for letter in account + "MT00"))
        return f"MT{98 - value % 97:02d}{account}"

    def phone(self, place: str) -> str:
        """A telephone number in one of the ways in which people type it."""
        return spelled_phone(self.ten_digits(place), len(self))

    def ten_digits(self, place: str) -> str:
        """A telephone number, its digits only."""
        digits = person(len(self), self.seed).phone
        self.digits[digits] = place
        return digits

    def card(self, place: str) -> str:
        """A card number with a check digit, together or in groups."""
        number = len(self)
        digits = person(number, self.seed).card
        self.digits[digits] = place
        return spelled_card(digits, number)

    def address(self, place: str) -> str:
        """An IPv6 address."""
        return str(IPv6Address(self._sixteen_bytes(place)))

    def uuid(self, place: str) -> str:
        """A uuid."""
        return str(uuid.UUID(bytes=self._sixteen_bytes(place)))

    def document(self, place: str) -> bytes:
        """Bytes of a file in which a name stands, in UTF-8 or as Windows writes it."""
        encoding = "utf-16-le" if len(self) % 2 else "utf-8"
        return b"\x89PNG\r\n\x1a\n\0" + self.name(place).encode(encoding) + b"\0\xff"

    def remark(self, place: str) -> str:
        """Free text in which four values stand."""
        return (
            f"Call {self.name(place)} at {self.phone(place)},\n"
            f'or write to <{self.email(place)}>; pays by {self.card(place)}\t("it\'s fine").'
        )

    def memo(self, place: str) -> str:
        """Free text in which everything has a form that can be found in it."""
        return (
            f"Please write to <{self.email(place).strip()}> or {self.email(place).strip()}; "
            f"phone {self.phone(place)}, card {self.card(place)}, account {self.iban(place)}."
        )

    def attributes(self, place: str) -> str:
        """A JSON document: values as texts, in arrays, as a number, as a name of a field."""
        return json.dumps(
            {
                "tier": "gold",
                "contact": {"mail": self.email(place), "others": [self.name(place), None]},
                self.word(place): True,
                "phone": int(self.ten_digits(place)),
            }
        )

    def long(self, place: str, letters: int) -> str:
        """A text of this length with a value at its beginning, in its middle and at its end."""
        half = "".join(self._random.choices(string.hexdigits, k=letters // 2))
        return f"{self.name(place)} {half} {self.email(place)} {half} {self.name(place)}"

    def filled(self, text: str, place: str) -> str:
        """The text with a new value for every name in braces; doubled braces become single."""
        makers = {
            "{name}": self.name,
            "{word}": self.word,
            "{email}": self.email,
            "{phone}": self.phone,
            "{card}": self.card,
            "{iban}": self.iban,
        }
        for name, make in makers.items():
            while name in text:
                text = text.replace(name, make(place), 1)
        return text.replace("{{", "{").replace("}}", "}")

    @property
    def places(self) -> set[str]:
        """Everywhere that something was planted."""
        return {*self.words.values(), *self.digits.values()}

    def _sixteen_bytes(self, place: str) -> bytes:
        return self.word(place).encode() + self._random.randbytes(7)
