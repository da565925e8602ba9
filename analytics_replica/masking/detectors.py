"""Whether one value is an e-mail address, a phone number, a card, an official number, a secret.

Here: a judgement of one text by a parser or a check digit (PERSONAL), and of its looks where
nothing can be checked (LIKELY). Not here: judging columns (evidence.py). A text that no detector
knows is not therefore harmless.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from importlib import import_module
from typing import Final

import email_validator
import phonenumbers
from stdnum import iban, imei, luhn

Detector = Callable[[str], bool]

LONGEST: Final = 254
"""No address and no number is longer than an e-mail address may be."""

REGIONS: Final = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "AT", "CH")
"""Whose national notation of phone numbers is tried; international notation needs no region."""

BORN: Final = (date(1900, 1, 1), date(1985, 1, 1), timedelta(days=25 * 365))
"""Dates of birth: the first not before and not after, and first and last at least so far apart.
What a business recorded itself hardly begins before there were databases."""

WITHOUT_TRUNK: Final = ("US", "ES")
"""Regions whose national notation begins with neither 0 nor a parenthesis."""

_CARD: Final = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[068]\d{12}"
    r"|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12}(?:\d{3})?)"
)
"""The lengths and first digits that card issuers use."""

_NUMBER: Final = re.compile(r"\+?[\d\s().\-/]{6,24}(?:\s*(?:x|ext\.?)\s*\d{1,6})?", re.IGNORECASE)
_PLAIN_DIGITS: Final = re.compile(r"\d+")
_DECIMAL: Final = re.compile(r"-?\d+\.\d+")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NO_PHONE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d+(?:\.\d+){3}|\d{3}-\d{2}-\d{4}$"
)
"""Days, network addresses and social security numbers, which some country could dial."""

_SECRET: Final = re.compile(
    r"\$(?:2[aby]|5|6|y|argon2\w*|pbkdf2\S*|scrypt)\$\S{20,}|pbkdf2_sha\d+\$\S{20,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|-----BEGIN [A-Z ]+-----[\s\S]*"
    r"|(?:sk|pk|rk)_(?:live|test)_\w{8,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,}"
    r"|\{(?:SSHA|SHA|SMD5|CRYPT)[\d]*\}\S+"
)
_RANDOM: Final = re.compile(r"[0-9a-f]{32,128}|(?=\S*\d)(?=\S*[a-z])(?=\S*[A-Z])[\w+/=-]{28,128}")
_MAC: Final = re.compile(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}", re.IGNORECASE)

_PARTICLE: Final = r"(?:de|del|della|di|da|dos|la|le|van|von|der|den|ten|zu|bin|al|y|e)"
_WORD: Final = r"(?:[^\W\d_a-z][\w'’-]*[^\W\d_]|[^\W\d_a-z]\.?)"
_NAME: Final = re.compile(rf"{_WORD},?(?:\s(?:{_PARTICLE}\s){{0,2}}{_WORD}){{1,3}}")
_STREET: Final = re.compile(
    r"(?:str(?:\.|a(?:ß|ss)e)|weg|platz|allee|gasse|\b(?:street|st|avenue|ave|road|rd|lane|ln"
    r"|drive|dr|blvd|boulevard|court|ct|way|square|rue|calle|avenida|via|viale|piazza|rua"
    r"|straat|laan|ulica|ul)\b\.?)",
    re.IGNORECASE,
)
_POSTCODE: Final = re.compile(
    r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|\d{4} ?[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{5}-\d{4}"
    r"|\d{2}-\d{3}|[A-Z]{1,2}-\d{4,5}"
)
_ADDRESS_INSIDE: Final = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_ACCOUNT_INSIDE: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD_INSIDE: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_PHONE_INSIDE: Final = re.compile(r"(?<![\w.])(?:\+|00)\d[\d\s()./-]{6,20}\d(?!\w)")

_NATIONAL: Final = (
    *("us.ssn", "de.idnr", "es.dni", "es.nie", "fr.nir", "it.codicefiscale", "pt.cc", "br.cpf"),
    *("nl.bsn", "pl.pesel", "se.personnummer", "fi.hetu", "dk.cpr", "no.fodselsnummer", "be.nn"),
    *("ch.ssn", "ro.cnp", "bg.egn", "cz.rc", "ee.ik", "gr.amka", "tr.tckimlik"),
    *("za.idnr", "in_.aadhaar", "in_.pan", "cn.ric", "kr.rrn", "mx.curp", "cl.rut", "gb.nhs"),
)
"""Official numbers of persons that carry a check digit or a shape that nothing else has."""


def is_email(text: str) -> bool:
    """True if this is one e-mail address, whether or not mail can be sent there."""
    if "@" not in text or len(text) > LONGEST:
        return False
    try:
        email_validator.validate_email(
            text, check_deliverability=False, globally_deliverable=False, allow_display_name=True
        )
    except email_validator.EmailNotValidError:
        return False
    return True


def is_phone(text: str) -> bool:
    """True for a phone number in international notation, or in one of REGIONS' own.

    Digits alone are none, whoever would be reached there: they may be any number.
    """
    if _NUMBER.fullmatch(text) is None or _NO_PHONE.match(text) or _DECIMAL.fullmatch(text):
        return False
    digits = sum(character.isdigit() for character in text)
    if not 7 <= digits <= 15 + 6:
        return False
    if text.startswith(("+", "00")):
        return _possible("+" + text.removeprefix("+").removeprefix("00"))
    if not text.startswith(("0", "(")) and _PLAIN_DIGITS.fullmatch(text):
        return False
    trunk = text.startswith(("0", "("))
    return any(_valid(text, region) for region in (REGIONS if trunk else WITHOUT_TRUNK))


def is_bare_phone(text: str) -> bool:
    """True for digits that are a phone number if a plus is put before them."""
    return (
        _PLAIN_DIGITS.fullmatch(text) is not None and 10 <= len(text) <= 15 and _valid(f"+{text}")
    )


def is_card(text: str) -> bool:
    """True for a payment card's number (issuer, length, check digit) or an IBAN."""
    if not 13 <= len(text) <= 42:
        return False
    digits = re.sub(r"[ -]", "", text)
    if digits.isascii() and digits.isdigit():
        return _CARD.fullmatch(digits) is not None and luhn.is_valid(digits)
    return text[:2].isalpha() and iban.is_valid(text, check_country=False)


def is_address_of_network(text: str) -> bool:
    """True for an IPv4 or IPv6 address, with or without a mask."""
    if not ("." in text or ":" in text) or len(text) > 49:
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return "." not in text or text.count(".") == 3 or ":" in text


def is_device(text: str) -> bool:
    """True for a MAC address, a phone's serial number (IMEI), or what a browser calls itself."""
    if text.startswith("Mozilla/") or _MAC.fullmatch(text):
        return True
    bare = _PLAIN_DIGITS.fullmatch(text) is not None and len(text) == 15
    return bare and text[:2] in {"35", "86", "01"} and imei.is_valid(text)


def is_secret(text: str) -> bool:
    """True for the hash of a password, a signed token, or a key in a known notation."""
    return _SECRET.fullmatch(text) is not None


def national_formats(text: str) -> Iterator[str]:
    """The official numbers of persons that this could be, by country and name."""
    if not 8 <= len(text) <= 22 or not any(character.isdigit() for character in text):
        return
    if _DAY.match(text):
        return
    for name in _NATIONAL:
        # Nine digits without hyphens are no evidence of a social security number: it has no check.
        if _module(name)(text) and (name != "us.ssn" or "-" in text):
            yield name


def day_of(text: str) -> date | None:
    """The day that this text begins with; None if it does not or the calendar has none such."""
    if _DAY.match(text) is None or text.endswith("BC"):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def in_array(printed: str) -> Iterator[str]:
    """The elements of an array as PostgreSQL prints it; good enough to judge them."""
    for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', printed):
        yield re.sub(r"\\(.)", r"\1", quoted) or bare


def is_sentence(text: str) -> bool:
    """True for five words and more."""
    return len(text.split(maxsplit=4)) == 5


def holds_inside(text: str) -> bool:
    """True if an e-mail address, a phone, card or account number stands inside a longer text."""
    if len(text) < 10:
        return False
    if (found := _ADDRESS_INSIDE.search(text)) and found[0] != text and not is_email(text):
        return True
    pattern_and_judge = (
        (_CARD_INSIDE, is_card),
        (_ACCOUNT_INSIDE, is_card),
        (_PHONE_INSIDE, is_phone),
    )
    return any(
        found[0] != text and judge(found[0].strip())
        for pattern, judge in pattern_and_judge
        for found in pattern.finditer(text)
    )


PERSONAL: Final[Mapping[str, Detector]] = {
    "email": is_email,
    "phone": is_phone,
    "card": is_card,
    "ip": is_address_of_network,
    "device": is_device,
    "secret": is_secret,
}
"""Class → the judgement of one value by a parser, a check digit or an unmistakable notation."""

LIKELY: Final[Mapping[str, Detector]] = {
    "name": lambda text: len(text) <= 60 and _NAME.fullmatch(text) is not None,
    "phone": is_bare_phone,
    "address": lambda text: bool(
        6 <= len(text) <= 120 and re.search(r"\d", text) and _STREET.search(text)
    ),
    "postcode": lambda text: _POSTCODE.fullmatch(text) is not None,
    "secret": lambda text: _RANDOM.fullmatch(text) is not None,
    "free_text": is_sentence,
}
"""Class → the judgement of one value by its looks."""

INSIDE: Final[Detector] = holds_inside


def _possible(text: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(text, None))
    except phonenumbers.NumberParseException:
        return False


def _valid(text: str, region: str | None = None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=len(_NATIONAL))
def _module(name: str) -> Detector:
    judge: Detector = import_module(f"stdnum.{name}").is_valid
    return judge
