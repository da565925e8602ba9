"""Free text without what can be found in it: addresses, numbers, cards and accounts.

Here: the mask redact. Not here: masks of columns that hold one such thing (contacts.py). What has
no form cannot be found: a name, a street, an illness stay in the text, so a class free_text brings
NULL and not this mask.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import Leniency, PhoneNumberMatcher
from stdnum import iban, luhn

from analytics_replica.masking.strategies.strategy import on_each
from analytics_replica.settings.rules import Mask

_SIGN: Final = re.compile(r"@|%40|＠")
_RUN: Final = re.compile(r"(?:\"[^\"\n]{1,64}\"(?=@|%40|＠))?[^\s<>()\[\]\",;:]+")
"""What an address may be inside of: it is looked at once, from its beginning. A pattern that looks
for the sign from every character takes half a minute for 40 kB without spaces."""
_ACCOUNT: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
_DIGITS: Final = re.compile(r"\d(?:[\s().,~+/–_-]{0,3}\d){6,}")
_SUSPECT: Final = r"@|%40|(?:\d[^\d]*){7}|[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11}"
"""Without it an ASCII text has nothing that is looked for: no sign, no seven digits, no account."""

_LONGEST: Final = 100_000
"""Characters; a longer text is not searched but taken out as a whole."""

CARD, ACCOUNT, PHONE, EMAIL = "[card]", "[iban]", "[phone]", "[email]"
NUMBER: Final = "[number]"
"""Seven or more digits that are nothing known: an order number, or a number of another form."""

LONG: Final = "[long text]"


def apply_redact(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The texts with placeholders for addresses, accounts, cards, phones and other long numbers."""
    del key
    long = pc.greater(pc.utf8_length(texts), _LONGEST)
    # Other digits and other signs than ASCII's are for Python's patterns, which know them all.
    foreign = pc.match_substring_regex(texts, r"[^\x00-\x7f]")
    suspect = pc.or_(pc.or_(pc.match_substring_regex(texts, _SUSPECT), long), foreign)
    suspect = pc.and_(suspect, pc.is_valid(texts))
    suspect = pc.is_in(suspect, value_set=pa.array([True]))
    if not pc.any(suspect).as_py():
        return texts
    region = mask.region
    redacted = on_each(texts.filter(suspect), lambda text: _redacted(text, region))
    return pc.replace_with_mask(texts, suspect, redacted)


def _redacted(text: str, region: str | None) -> str:
    if len(text) > _LONGEST:
        return LONG
    if _SIGN.search(text):
        text = _RUN.sub(lambda found: _address(found[0]), text)
    text = _ACCOUNT.sub(lambda found: _account(found[0]), text)
    text = _DIGITS.sub(lambda found: _card(found[0]), text)
    text = _without_phones(text, region)
    return _DIGITS.sub(NUMBER, text)


def _address(run: str) -> str:
    """The run without an address: up to what follows its last sign's host."""
    signs = list(_SIGN.finditer(run))
    if not signs:
        return run
    host, quote, rest = run[signs[-1].end() :].partition("'")
    if not host or (signs[0].start() == 0 and "." not in host):
        return run
    return EMAIL + quote + rest


def _account(text: str) -> str:
    """The longest beginning that is an account number, replaced."""
    for end in range(len(text), 14, -1):
        if text[end - 1].isalnum() and iban.is_valid(text[:end]):
            return ACCOUNT + text[end:]
    return text


def _card(text: str) -> str:
    digits = "".join(str(int(c)) for c in text if c.isdecimal())
    return CARD if 13 <= len(digits) <= 19 and luhn.is_valid(digits) else text


def _without_phones(text: str, region: str | None) -> str:
    if not re.search(r"\d", text):
        return text
    found = [
        (match.start, match.end)
        for match in PhoneNumberMatcher(text, region, Leniency.POSSIBLE)
        if sum(c.isdecimal() for c in match.raw_string) >= 7
    ]
    for start, end in reversed(found):
        text = text[:start] + PHONE + text[end:]
    return text
