"""The words in a column's name that say what it holds: a person's data, a secret, machinery.

Here: the signs, in the order in which they decide. Not here: turning them into rules (suggest.py).
Names are compared in snake case and ASCII (suggest.words_of); a few European languages are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from analytics_replica.domain.tables import Column
from analytics_replica.settings.rules import Mask

NULL: Final = Mask(mask="null")


class Kind(Enum):
    """What sort of values a type holds, as far as a suggestion depends on it."""

    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    DATE = auto()
    MOMENT = auto()
    UUID = auto()
    JSON = auto()
    NETWORK = auto()
    OWN = auto()
    """A type that somebody created: enum, domain or composite; a column does not say which."""
    OTHER = auto()
    """Arrays, ranges, bytes, documents, shapes."""

    @classmethod
    def of(cls, column: Column) -> Kind:
        """The kind of this column's type."""
        if column.type_name.endswith("[]"):
            return cls.OTHER
        known = next((kind for kind, oids in _OIDS.items() if column.type_oid in oids), None)
        return known or (cls.OWN if column.type_oid >= _FIRST_USER_OID else cls.OTHER)


_OIDS: Final = {
    Kind.TEXT: {25, 1043, 1042, 19},
    Kind.NUMBER: {20, 21, 23, 26, 700, 701, 790, 1700},
    Kind.FLAG: {16},
    Kind.DATE: {1082},
    Kind.MOMENT: {1083, 1114, 1184, 1186, 1266},
    Kind.UUID: {2950},
    Kind.JSON: {114, 3802},
    Kind.NETWORK: {650, 774, 829, 869},
}
_FIRST_USER_OID: Final = 16384

WORDS: Final = frozenset({Kind.TEXT, Kind.OWN, Kind.OTHER})
VALUES: Final = frozenset({*WORDS, Kind.NUMBER, Kind.UUID, Kind.NETWORK})
NO_KIND: Final[frozenset[Kind]] = frozenset()


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern of names and what a column of these kinds then holds.

    `mask` None is for what must not leave production. `ids` are the kinds for which a name that
    ends in `_id` is still this sign (tax_id is a person's number, address_id is machinery).
    """

    pattern: re.Pattern[str]
    kinds: frozenset[Kind]
    mask: Mask | None
    reason: str
    ids: frozenset[Kind]

    def fits(self, words: str, kind: Kind) -> bool:
        """True if a column of this name and kind shows this sign."""
        if kind not in self.kinds or not self.pattern.search(words):
            return False
        if _ID.search(words):
            return kind in self.ids
        return not _ASIDE.search(words)


_ID: Final = re.compile(r"_ids?$")
_ASIDE: Final = re.compile(
    r"_(?:type|kind|status|category|format|language|locale|currency|template|verified|count"
    r"|counts|total|amount|quantity|qty|seconds|ms|bytes|size|length|limit|version)$"
)
"""Endings that make a column one about the thing (phone_type), not the thing itself."""


def _sign(
    words: str,
    kinds: frozenset[Kind],
    mask: Mask | None,
    reason: str,
    ids: frozenset[Kind] = NO_KIND,
) -> Sign:
    return Sign(re.compile(rf"(?:^|_)(?:{words})(?:_|$)"), kinds, mask, reason, ids)


def token(domain: str) -> Mask:
    """A token that joins with others of this domain."""
    return Mask(mask="token", domain=domain)


SIGNS: Final = (
    _sign(
        r"pass(?:word|wd|phrase|wort)?|pwd|secrets?|salt|otp|totp|pin|hash|credentials?|cookies?"
        r"|(?:api|private|encryption|signing)_?keys?|tokens?|\w+tokens?|signature"
        r"|(?:access|activation|verification|security|recovery|backup|invite)_codes?",
        frozenset({*VALUES, Kind.JSON}),
        None,
        "a secret: it never leaves production",
        WORDS,
    ),
    _sign(
        r"gender|sex|geschlecht|religion|ethnic\w*|race|nationalit\w+|diagnos\w*|disabilit\w+"
        r"|health|disease|medical|allerg\w+|pregnan\w+|political|union_member\w*|sexual\w*"
        r"|marital|salary|gehalt|income|wage|age|latitude|longitude|lat|lng|lon|location|geo\w*"
        r"|photo|avatar|picture|image|fingerprint|biometric\w*",
        frozenset(Kind) - {Kind.MOMENT, Kind.JSON},
        NULL,
        "says something private of a person",
    ),
    _sign(
        r"dob|birth\w*|born|bday|geburt\w*|geboren|naissance|nacimiento|nascita",
        frozenset({Kind.DATE, Kind.MOMENT, Kind.NUMBER, *WORDS}),
        Mask(mask="year"),
        "a date of birth: only the year is left",
    ),
    _sign(
        r"e_?mails?(?:_?addr\w*)?|mail|correo|courriel",
        WORDS,
        Mask(mask="email", domain="email"),
        "an e-mail address",
        WORDS,
    ),
    _sign(
        r"(?:tele)?phones?(?:_?n\w*)?|telefon\w*|tel|mobile\w*|cell|handy\w*|fax|msisdn|whatsapp"
        r"|movil",
        frozenset({*WORDS, Kind.NUMBER}),
        Mask(mask="token", domain="phone", normalise="phone"),
        "a phone number",
        WORDS,
    ),
    _sign(
        r"ssn|social_security\w*|sozialversicherung\w*|passport\w*|tax_?id\w*|steuer\w*|nif|dni"
        r"|cpf|cnp|bsn|pesel|licen[cs]e_?(?:plate|no|number)|(?:national|tax|fiscal|personal"
        r"|identity|citizen|driving|driver)_?(?:id|no|nr|number|code|licen[cs]e)\w*",
        VALUES,
        token("national_id"),
        "an official number of a person",
        VALUES,
    ),
    _sign(
        r"(?:credit_?|debit_?)?card(?:_?(?:no|nr|num|number|pan))?|pan|iban|account_?n\w+"
        r"|kontonummer|bank_?account",
        frozenset({*WORDS, Kind.NUMBER}),
        Mask(mask="last4"),
        "a card or account number: only the last four digits are left",
    ),
    _sign(
        r"ip|ip_?addr\w*|ipv[46]|mac_?addr\w*|user_?agent|device_?id|visitor_?id|imei|idfa|gaid",
        VALUES,
        token("device"),
        "an address of a person's device",
        VALUES,
    ),
    _sign(
        r"(?:first|last|middle|full|given|family|maiden|nick|user|display|contact|customer|client"
        r"|patient|employee|member|owner|holder|sender|recipient|author|billing|shipping|legal"
        r"|screen)_?names?|names?_(?:first|last)|surname\w*|forename|username|login|handle"
        r"|recipient|author|contact|(?:created|updated|modified|changed|deleted|approved)_?by"
        r"|vorname|nachname|familienname|empfaenger|ansprechpartner\w*|prenom|nom|nombres?"
        r"|apellidos?|cognome",
        WORDS,
        token("person_name"),
        "a person's name",
    ),
    _sign(
        r"addr|address\w*|adresse|street\w*|strasse|line_?[123]|house_?n\w+|hausnummer|apartment"
        r"|direccion|rue|calle|via",
        WORDS,
        token("address"),
        "where a person lives",
    ),
    _sign(
        r"zip\w*|post(?:al)?_?code|plz|postleitzahl|code_postal|cap",
        frozenset({*WORDS, Kind.NUMBER}),
        token("postcode"),
        "where a person lives",
    ),
    _sign(
        r"city|town|village|district|suburb|ort|stadt|ville|ciudad|comune",
        WORDS,
        token("city"),
        "where a person lives",
    ),
    _sign(
        r"notes?|comments?|remarks?|body|message|text|content|description|desc|bio|about|subject"
        r"|title|summary|feedback|review|reason|memo|bemerkung\w*|notiz\w*|kommentar\w*"
        r"|beschreibung|commentaires?|observaciones|notas?|search\w*|query|keywords?",
        WORDS,
        NULL,
        "free text: anything may be in it",
    ),
)
"""In order: the first that fits decides."""

PEOPLE: Final = re.compile(
    r"(?:^|_)(?:customer|client|user|person|people|contact|employee|member|patient|account|lead"
    r"|profile|passenger|guest|student|teacher|driver|subscriber|kunde|mitarbeiter|nutzer|staff)"
)
"""Tables in which a column called `name` is a person's."""

MACHINERY: Final = re.compile(
    r"(?:^|_)(?:id|ids|uid|uuid|guid|key|code|sku|ean|gtin|isbn|status|state|type|kind|class|level"
    r"|tier|currency|country|lang|language|locale|timezone|time_zone|unit|category|method|channel"
    r"|priority|version|revision|color|colour|size|slug|enum|flag|mode|phase|stage|carrier|schema"
    r"|table|event|action|role|format|mime|template|verified)$"
)
"""Names of texts that are codes of our own making."""

PROCESS_DATE: Final = re.compile(
    r"(?:^|_)(?:at|on|day|date|from|to|until|since|start|end|due|valid|expiry|expires|created"
    r"|updated|deleted|closed|opened|paid|shipped|delivered|placed|booked|issued|effective"
    r"|order|invoice|posting|value|period|month|week|report|snapshot|partition)(?:_|$)"
)
"""Names of dates that say when something happened, not when somebody was born."""
