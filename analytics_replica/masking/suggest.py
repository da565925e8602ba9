"""What the policy could say about a table that nobody classified yet, from names and types only.

Here: the words and types that point to a person, to a secret or to plain machinery. Not here:
what the policy does say (policy.py), writing replica.yaml (cli.init). No value is ever looked at.

Nothing unsafe is kept by default: a column is kept if its type and name say that it is machinery;
what is neither that nor plainly personal becomes NULL and waits for a person's decision.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from analytics_replica.domain.tables import Column, Table
from analytics_replica.masking.strategies import STRATEGIES
from analytics_replica.settings.schema import ColumnRule, Mask, MaskName

NULL: Final = Mask(mask="null")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule for one column and why. `decide` marks those that a person must look at."""

    rule: ColumnRule
    reason: str
    decide: bool = False


class _Kind(Enum):
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
    """A type that somebody created: enum, domain or composite; the log does not say which."""
    OTHER = auto()
    """Arrays, ranges, bytes, documents, shapes."""


_KINDS: Final[Mapping[_Kind, frozenset[int]]] = {
    _Kind.TEXT: frozenset({25, 1043, 1042, 19}),
    _Kind.NUMBER: frozenset({20, 21, 23, 26, 700, 701, 790, 1700}),
    _Kind.FLAG: frozenset({16}),
    _Kind.DATE: frozenset({1082}),
    _Kind.MOMENT: frozenset({1083, 1114, 1184, 1186, 1266}),
    _Kind.UUID: frozenset({2950}),
    _Kind.JSON: frozenset({114, 3802}),
    _Kind.NETWORK: frozenset({650, 774, 829, 869}),
}
_FIRST_USER_OID: Final = 16384

_WORDLIKE: Final = frozenset({_Kind.TEXT, _Kind.OWN, _Kind.OTHER})
_VALUES: Final = frozenset({*_WORDLIKE, _Kind.NUMBER, _Kind.UUID, _Kind.NETWORK})


@dataclass(frozen=True, slots=True)
class _Sign:
    """A pattern in a column's name (snake case, ASCII) that says what the column holds."""

    pattern: re.Pattern[str]
    kinds: frozenset[_Kind]
    mask: Mask | None
    reason: str


def _sign(words: str, kinds: frozenset[_Kind], mask: Mask | None, reason: str) -> _Sign:
    return _Sign(re.compile(rf"(?:^|_)(?:{words})(?:_|$)"), kinds, mask, reason)


def _token(domain: str) -> Mask:
    return Mask(mask="token", domain=domain)


_SIGNS: Final = (
    _sign(
        r"pass(?:word|wd|phrase|wort)?|pwd|secret|salt|otp|totp|pin|api_?keys?|private_?key"
        r"|(?:access|refresh|auth|session|reset|csrf|bearer|device|push)_?tokens?|token|hash"
        r"|credentials?|signature|(?:remember|recovery)_?(?:token|codes?)|cookie",
        frozenset({*_VALUES, _Kind.JSON}),
        None,
        "a secret: it never leaves production",
    ),
    _sign(
        r"gender|sex|geschlecht|religion|ethnic\w*|race|nationalit\w+|diagnos\w*|disab\w+|health"
        r"|disease|medical|allerg\w+|pregnan\w+|political|union_member\w*|sexual\w*|marital\w*"
        r"|salary|gehalt|income|wage|age|iq|latitude|longitude|lat|lng|lon|location|geo\w*|photo"
        r"|avatar|picture|image|fingerprint|biometric\w*",
        frozenset(_Kind) - {_Kind.MOMENT},
        NULL,
        "says something private of a person",
    ),
    _sign(
        r"dob|birth\w*|born|bday|geburt\w*|geboren|naissance|nacimiento|nascita",
        frozenset({_Kind.DATE, _Kind.MOMENT, *_WORDLIKE, _Kind.NUMBER}),
        Mask(mask="year"),
        "a date of birth: the year is left",
    ),
    _sign(
        r"e_?mails?(?:_?addr\w*)?|mail|correo|courriel",
        _VALUES,
        Mask(mask="email", domain="email"),
        "an e-mail address",
    ),
    _sign(
        r"(?:tele)?phones?(?:_?n\w*)?|telefon\w*|tel|mobile\w*|cell|handy\w*|fax|msisdn|whatsapp"
        r"|movil",
        _VALUES,
        Mask(mask="token", domain="phone", normalise="phone"),
        "a phone number",
    ),
    _sign(
        r"ssn|social_security\w*|sozialversicherung\w*|passport\w*|(?:national|tax|fiscal|personal"
        r"|identity|citizen|driving|driver)_?(?:id|no|nr|number|code|licen[cs]e)\w*|tax_?id\w*"
        r"|steuer\w*|nif|dni|cpf|cnp|bsn|pesel|licen[cs]e_?(?:plate|no|number)",
        _VALUES,
        _token("national_id"),
        "an official number of a person",
    ),
    _sign(
        r"(?:credit_?|debit_?)?card(?:_?(?:no|nr|num|number|pan))?|pan|iban|account_?n\w+"
        r"|kontonummer|bank_?account",
        _VALUES,
        Mask(mask="last4"),
        "a card or account number: the last four digits are left",
    ),
    _sign(
        r"ip|ip_?addr\w*|ipv[46]|mac_?addr\w*|user_?agent|device_?id|visitor_?id|imei|idfa|gaid",
        _VALUES,
        _token("device"),
        "an address of a person's device",
    ),
    _sign(
        r"(?:first|last|middle|full|given|family|maiden|nick|user|display|contact|customer|client"
        r"|patient|employee|member|owner|holder|sender|recipient|author|billing|shipping|legal"
        r"|screen)_?names?|names?_(?:first|last)|surname\w*|forename|username|login|handle"
        r"|recipient|author|contact|(?:created|updated|modified|changed|deleted|approved)_?by"
        r"|vorname|nachname|familienname|empfaenger|ansprechpartner\w*|prenom|nom|nombres?"
        r"|apellidos?|cognome",
        _WORDLIKE,
        _token("person_name"),
        "a person's name",
    ),
    _sign(
        r"addr|address\w*|adresse|street\w*|strasse|line_?[123]|house_?n\w+|hausnummer|apartment"
        r"|direccion|rue|calle|via",
        _WORDLIKE,
        _token("address"),
        "where a person lives",
    ),
    _sign(
        r"zip\w*|post_?(?:al_?)?code|plz|postleitzahl|postcode|code_postal|cap",
        _VALUES,
        _token("postcode"),
        "where a person lives",
    ),
    _sign(
        r"city|town|village|district|suburb|ort|stadt|ville|ciudad|comune",
        _WORDLIKE,
        _token("city"),
        "where a person lives",
    ),
    _sign(
        r"notes?|comments?|remarks?|body|message|text|content|description|desc|bio|about|subject"
        r"|title|summary|feedback|review|reason|memo|bemerkung\w*|notiz\w*|kommentar\w*"
        r"|beschreibung|commentaires?|observaciones|notas?|search\w*|query|keywords?",
        _WORDLIKE,
        NULL,
        "free text: anything may be in it",
    ),
)
"""In order: the first that fits decides. `mask` None is for what must not leave production."""

_PEOPLE: Final = re.compile(
    r"(?:^|_)(?:customer|client|user|person|people|contact|employee|member|patient|account|lead"
    r"|profile|passenger|guest|student|teacher|driver|subscriber|kunde|mitarbeiter|nutzer|staff)"
)
"""Tables in which a column called `name` is a person's."""

_MACHINERY: Final = re.compile(
    r"(?:^|_)(?:id|ids|uid|uuid|guid|key|code|sku|ean|gtin|isbn|status|state|type|kind|class|level"
    r"|tier|currency|country|country_code|language|lang|locale|timezone|time_zone|unit|category"
    r"|method|channel|priority|version|revision|color|colour|size|slug|enum|flag|mode|phase|stage"
    r"|carrier|checksum_kind|schema|table|event|action|role|format|mime|content_type)$"
)
_PROCESS_DATE: Final = re.compile(
    r"(?:^|_)(?:at|on|day|date|from|to|until|since|start|end|due|valid|expiry|expires|created"
    r"|updated|deleted|closed|opened|paid|shipped|delivered|placed|booked|issued|effective"
    r"|order|invoice|posting|value|period|month|week|report|snapshot|partition)(?:_|$)"
)


def suggest(table: Table) -> Mapping[str, Suggestion]:
    """A rule for every column of the table, in column order, that `Policy.check` accepts.

    From names and types alone. Columns that identify rows get a rule that keeps rows apart.
    """
    about_people = _PEOPLE.search(words_of(table.name.name)) is not None
    return {c.name: _for_column(c, about_people=about_people) for c in table.columns}


def words_of(name: str) -> str:
    """The name in snake case and ASCII letters; what cannot be written so is left out."""
    broken = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    latin = broken.replace("ß", "ss").replace("ø", "o").replace("Ø", "O").replace("ł", "l")
    plain = unicodedata.normalize("NFKD", latin).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def _for_column(column: Column, *, about_people: bool) -> Suggestion:
    words, kind = words_of(column.name), _kind(column)
    found = _by_name(words, kind, about_people=about_people)
    if found is None:
        found = _by_type(column, words, kind)
    if column.key:
        return _for_key(column, words, found)
    if isinstance(found.rule, Mask):
        return Suggestion(_fitting(found.rule, column, kind), found.reason, found.decide)
    return found


def _by_name(words: str, kind: _Kind, *, about_people: bool) -> Suggestion | None:
    for sign in _SIGNS:
        if kind in sign.kinds and sign.pattern.search(words):
            return Suggestion(sign.mask or "drop", sign.reason)
    if about_people and kind in _WORDLIKE and re.search(r"(?:^|_)names?$", words):
        return Suggestion(_token("person_name"), "a person's name")
    return None


def _by_type(column: Column, words: str, kind: _Kind) -> Suggestion:
    if not words or not column.name.isascii():
        if kind in {_Kind.FLAG, _Kind.MOMENT, _Kind.UUID}:
            return Suggestion("keep", _REASONS[kind])
        return Suggestion(NULL, "its name is in a script or language that is not known here", True)
    match kind:
        case _Kind.NUMBER | _Kind.FLAG | _Kind.MOMENT | _Kind.UUID:
            return Suggestion("keep", _REASONS[kind])
        case _Kind.DATE if _PROCESS_DATE.search(words):
            return Suggestion("keep", _REASONS[kind])
        case _Kind.TEXT | _Kind.OWN if _MACHINERY.search(words):
            return Suggestion("keep", "a code")
        case _Kind.JSON:
            return Suggestion(Mask(mask="json"), "list under `keep` the keys that may pass", True)
        case _Kind.NETWORK:
            return Suggestion(_token("device"), "an address of a person's device")
        case _:
            return Suggestion(NULL, "neither its name nor its type says that it is harmless", True)


_REASONS: Final[Mapping[_Kind, str]] = {
    _Kind.NUMBER: "a number",
    _Kind.FLAG: "yes or no",
    _Kind.DATE: "a day",
    _Kind.MOMENT: "a time",
    _Kind.UUID: "an identifier",
}


def _for_key(column: Column, words: str, found: Suggestion) -> Suggestion:
    """The suggestion for a column that identifies rows: kept, or a token that keeps rows apart."""
    if found.rule == "keep":
        return Suggestion("keep", "identifies the row")
    domain = found.rule.domain if isinstance(found.rule, Mask) else None
    reason = f"identifies the row; {found.reason}" if domain else "identifies the row"
    token = _token(domain or words or "key")
    return Suggestion(token, reason, decide=domain is None)


_WITHOUT_DOMAIN: Final[frozenset[MaskName]] = frozenset({"last4", "year", "json"})


def _fitting(mask: Mask, column: Column, kind: _Kind) -> Mask:
    """The mask if it fits the column's type, else the nearest one that fits every type."""
    types = STRATEGIES[mask.mask].types
    if types is None:
        return NULL if kind is _Kind.OTHER else mask
    if column.type_oid in types:
        return mask
    if mask.mask in _WITHOUT_DOMAIN or kind is _Kind.OTHER:
        return NULL
    return Mask(mask="token", domain=mask.domain, normalise="trim_lower")


def _kind(column: Column) -> _Kind:
    for kind, oids in _KINDS.items():
        if column.type_oid in oids:
            return kind
    if column.type_name.endswith("[]") or column.type_oid < _FIRST_USER_OID:
        return _Kind.OTHER
    return _Kind.OWN
