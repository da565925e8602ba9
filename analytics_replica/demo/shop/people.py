"""The people of the demo's shop, made so that every trace of them can be found again.

Here: the pools of names and one person for each number, the same for the same seed on every
machine. Every surname, street, remark and parcel holds `MARKER` between three letters and three
letters, so a search can look for one rare string first and then compare nine letters exactly.
Telephone and card numbers begin with `DIGIT_MARKER` and are long enough to be compared exactly.
Not here: which table shows which part of a person (filling/*.sql), the search (demo.leaks).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

MARKER: Final = "zqv"
DIGIT_MARKER: Final = "555"
WORD_EDGE: Final = 3
"""Letters before and after the marker in every marked word."""

TEST_DOMAIN: Final = "qa.shop.example"
"""Where the shop's own testers have their e-mail; masks keep domains, so gold can tell them."""


class Kind(StrEnum):
    """What sort of personal value something is."""

    EMAIL = "e-mail"
    NAME = "name"
    PHONE = "telephone"
    CARD = "card number"
    ADDRESS = "address"
    REMARK = "free text"
    PARCEL = "parcel number"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES: Final = _words(
    "Ada Amir Anna Arne Björn Carla Chen Clara Daan Dilek Elif Emil Esther Eva Femke Finn Frida "
    "Goran Greta Hana Hugo Ida Igor Ines Jamal Jana Joris Julia Kaja Karl Kofi Lars Lea Lena Liam "
    "Lina Luca Maja Malik Marta Mila Milan Nadia Nils Nina Nour Ole Olga Oskar Paul Petra Pia "
    "Rafael Rana René Rosa Sami Sara Selma Sofia Sven Tara Theo Tim Tomas Ulla Uma Vera Viktor "
    "Wanda Yara Yusuf Zoe Zoltan"
)
_STARTS: Final = _words(
    "abe ado alm and arn bal bar bel ben ber bor bru cal car cas cor dal dan del dor ebe eck eng "
    "fal far fel fin gar gal ger gol hal han har hel hol imm jan jor kal kan kel kol lan lar lin "
    "lom mal man mar mel mor nor old pal par pel ros sal san sol tal tar"
)
_ENDS: Final = {
    Kind.NAME: _words(
        "ado aki ald ana and ann aro art asi ato ein eld ell ena end ent era ern ert eri ick ida "
        "iel ika ilo ina ing ino ira isa old ona ong oni ora ort osa oso oth oto und ung uri uss"
    ),
    Kind.ADDRESS: _words("alp amp arm ash oak elm ivy ore owl urn"),
    Kind.REMARK: _words("abo ebo ibo obo ubo aby eby iby oby uby"),
    Kind.PARCEL: _words("axa axe axi axo axu exa exe exi exo exu"),
}
_KIND_OF_END: Final = {end: kind for kind, ends in _ENDS.items() for end in ends}
_ROADS: Final = ("Street", "Road", "Lane", "Allee", "Straße", "Square")
_CITIES: Final = (
    ("Berlin", "DE", "10"), ("Hamburg", "DE", "20"), ("München", "DE", "80"), ("Köln", "de", "50"),
    ("Wien", "AT", "1"), ("Graz", "at", "8"), ("Amsterdam", "NL", "10"), ("Utrecht", "nl", "35"),
    ("Lyon", "FR", "69"), ("Bergen", "NO", "50"), ("Leeds", "GB", "LS"), ("Boston", "US", "021"),
)  # fmt: skip
_DOUBLED: Final = {str(d): sum(map(int, str(2 * d))) for d in range(10)}
_DOMAINS: Final = ("mailbox.example", "post.example", "web.example", "example.org", "example.com")


@dataclass(frozen=True, slots=True)
class Person:
    """One person: everything about them that must never leave production."""

    number: int
    first: str
    last: str
    domain: str
    phone: str
    """Ten digits; see `spelled_phone`."""
    card: str
    """Sixteen digits with a correct check digit."""
    line1: str
    city: str
    postcode: str
    country: str
    born: date
    remark: str
    parcel: str
    style: int
    """Chooses how this person's data is spelt by whoever types it."""

    @property
    def full_name(self) -> str:
        """First name and surname, as people write them."""
        return f"{self.first} {self.last}"

    @property
    def legacy_name(self) -> str:
        """The name as the old CRM kept it: LAST, First."""
        return f"{self.last.upper()}, {self.first}"

    @property
    def email(self) -> str:
        """The person's e-mail address, in small letters; unique by the number in it."""
        return f"{_ascii(self.first)}.{self.last.lower()}{self.number}@{self.domain}"

    @property
    def other_email(self) -> str:
        """A second address of the same person, which nothing links to the first."""
        return f"{self.last.lower()}.{_ascii(self.first)}{self.number}@old-{self.domain}"


def person(number: int, seed: int) -> Person:
    """Person number `number` (0 ≤ number < 10 million) of the shop with this seed.

    Two numbers never share an e-mail address, a telephone number or a card.
    """
    draw = hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=24).digest()
    pick = struct.unpack(">12H", draw)
    city, country, postcode = _CITIES[pick[5] % len(_CITIES)]
    start = _STARTS[pick[2] % len(_STARTS)]
    return Person(
        number=number,
        first=FIRST_NAMES[pick[0] % len(FIRST_NAMES)],
        last=_word(_STARTS[pick[1] % len(_STARTS)], Kind.NAME, pick[3]).title(),
        domain=_DOMAINS[pick[4] % len(_DOMAINS)],
        # both factors are coprime to 10, so different numbers get different telephones and cards
        phone=f"{DIGIT_MARKER}{(number * 7_654_321 + 1_234_567) % 10**7:07d}",
        card=_with_check_digit(f"{DIGIT_MARKER}5{(number * 76_543_217 + 98_765) % 10**11:011d}"),
        line1=f"{1 + pick[6] % 180} {_word(start, Kind.ADDRESS, pick[7]).title()} "
        f"{_ROADS[pick[8] % len(_ROADS)]}",
        city=city,
        postcode=f"{postcode}{pick[9] % 1000:03d}",
        country=country,
        born=date(1940, 1, 1) + timedelta(days=(pick[10] * 5 + pick[11]) % 24_000),
        remark=_word(start, Kind.REMARK, pick[11]).title(),
        parcel=_word(start, Kind.PARCEL, pick[10]).upper() + f"{number:07d}",
        style=pick[9],
    )


def spelled_phone(digits: str, style: int) -> str:
    """The ten digits as one of the ways in which people type them."""
    area, middle, last = digits[:3], digits[3:6], digits[6:]
    return (
        f"+1 {area} {middle} {last}",
        f"({area}) {middle}-{last}",
        f"{area}-{middle}-{last}",
        f"+1{digits}",
        f"001 {area} {middle} {last}",
        digits,
    )[style % 6]


def spelled_email(email: str, style: int) -> str:
    """The address as people type it: mostly clean, else in capitals or with stray spaces."""
    match style % 10:
        case 0:
            return email.upper()
        case 1:
            return email.title()
        case 2:
            return f" {email}"
        case 3:
            return f"{email.title()} "
        case _:
            return email


def spelled_card(digits: str, style: int) -> str:
    """The sixteen digits in one run or in groups of four."""
    if style % 4 == 0:
        return " ".join(digits[i : i + 4] for i in range(0, 16, 4))
    return digits


def kind_of_word(word: str) -> Kind:
    """What a marked word in small letters stands for; KeyError if no person ever had it."""
    return _KIND_OF_END[word[-WORD_EDGE:]]


def _word(start: str, kind: Kind, draw: int) -> str:
    return f"{start}{MARKER}{_ENDS[kind][draw % len(_ENDS[kind])]}"


def _ascii(first: str) -> str:
    return first.lower().replace("ö", "oe").replace("é", "e")


def _with_check_digit(digits: str) -> str:
    """The digits and the one that makes them pass the Luhn check, as on every card."""
    doubled = sum(_DOUBLED[digit] for digit in digits[-1::-2])
    return f"{digits}{-(doubled + sum(map(int, digits[-2::-2]))) % 10}"
