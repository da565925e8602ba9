"""E-mail addresses and phone numbers: one form for one person, and what may be left of them.

Here: normalising before a token, and the masks email, email_domain, phone_country and last4. Not
here: the tokens (tokens.py). The libraries email-validator and phonenumbers decide what is equal;
forms that they would leave as they are take a quick way (plain_contacts.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from email_validator import EmailNotValidError, validate_email
from phonenumbers import (
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
)

from analytics_replica.masking.strategies.hmac_tokens import tokens
from analytics_replica.masking.strategies.plain_contacts import plain_emails, plain_phones
from analytics_replica.masking.strategies.strategy import on_each
from analytics_replica.settings.rules import Mask, Normalise

_NO: Final = pa.array([False])

_REMEMBERED: Final = 50_000
"""Forms that are kept in memory, for people who come again: a library takes 12 to 20 µs a value."""


def normalised(texts: pa.Array, mask: Mask) -> pa.Array:
    """The forms under which equal people are equal; only '' is ''."""
    match mask.normalise:
        case "trim_lower":
            return on_each(texts, _trim_lower)
        case "email":
            return _by_library(texts, *plain_emails(texts), email_form)
        case "phone":
            region = mask.region
            plain = plain_phones(texts, region)
            return _by_library(texts, *plain, lambda value: phone_form(value, region))
        case _:
            return texts


def normal_form(value: str, how: Normalise | None, region: str | None = None) -> str:
    """The form of one value, as `normalised` gives it for a column."""
    texts = pa.array([value], pa.string())
    mask = Mask(mask="token", domain="d", normalise=how, region=region)
    return str(normalised(texts, mask)[0].as_py())


@lru_cache(maxsize=_REMEMBERED)
def email_form(value: str) -> str:
    """The address as email-validator normalises it, in lower case, without a name around it.

    Another text is only trimmed and in lower case.
    """
    try:
        found = validate_email(value.strip(), check_deliverability=False, allow_display_name=True)
    except (EmailNotValidError, ValueError):
        return _trim_lower(value)
    return found.normalized.lower()


@lru_cache(maxsize=_REMEMBERED)
def phone_form(value: str, region: str | None) -> str:
    """The number as phonenumbers reads it (E.164, and its extension).

    00 is read as +, as in most of the world, unless the region calls abroad otherwise. What cannot
    be read is its digits, if it is only digits and punctuation, else trimmed and in lower case.
    """
    found = _parsed(value, region)
    if found is not None:
        number = phonenumbers.format_number(found, PhoneNumberFormat.E164)
        return f"{number};ext={found.extension}" if found.extension else number
    digits = re.sub(r"[\s().+/-]", "", value)
    return digits if digits.isascii() and digits.isdecimal() else _trim_lower(value)


def apply_email(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """token@host: the host is shown if it looks like one."""
    how = mask if mask.normalise is not None else mask.model_copy(update={"normalise": "email"})
    forms = normalised(texts, how)
    made = tokens(forms, mask.domain or "", key)
    hosts = _hosts(forms)
    shown = pc.binary_join_element_wise(made, hosts, "@")
    return pc.coalesce(shown, made)


def apply_email_domain(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The host of the address, NULL if there is none."""
    del mask, key
    forms = _by_library(texts, *plain_emails(texts), email_form)
    return pc.if_else(pc.equal(forms, ""), "", _hosts(forms))


def _hosts(forms: pa.Array) -> pa.Array:
    found = pc.extract_regex(forms, r"@(?P<host>[a-z0-9.-]{1,253})$")
    return pc.struct_field(found, "host")


def apply_phone_country(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The country (ISO 3166) that the number belongs to, NULL if that cannot be told."""
    del key

    def country(value: str) -> str | None:
        found = _parsed(value, mask.region)
        return None if found is None else _country(found)

    return on_each(texts, country)


def _country(number: PhoneNumber) -> str | None:
    """The country of the number; of one that is not assigned, the only one that has its code."""
    region = phonenumbers.region_code_for_number(number)
    if region is None:
        sharing = phonenumbers.region_codes_for_country_code(number.country_code or 0)
        region = sharing[0] if len(sharing) == 1 else None
    return region if region is not None and region.isalpha() else None


def apply_last4(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """**** and the last four digits of eight or more; of fewer, none are left."""
    del mask, key

    def change(value: str) -> str:
        digits = re.sub(r"[^0-9]", "", value)
        return "****" + digits[-4:] if len(digits) >= 8 else "****"

    return on_each(texts, change)


def _parsed(value: str, region: str | None) -> PhoneNumber | None:
    text = value[:250].strip()
    if text.startswith("00") and not _is_own_prefix(text, region):
        text = "+" + text[2:]
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _is_own_prefix(text: str, region: str | None) -> bool:
    """Whether the text begins as a call abroad does in the region, which the parser then knows."""
    found = PhoneMetadata.metadata_for_region(region, None) if region is not None else None
    prefix = found.international_prefix if found is not None else None
    return prefix is not None and re.match(prefix, re.sub(r"[^0-9]", "", text)) is not None


def _by_library(
    texts: pa.Array, quick: pa.Array, plain: pa.Array, form: Callable[[str], str]
) -> pa.Array:
    """`quick` where it is plain, else the form that the library gives; NULL and '' stay."""
    rest = pc.is_in(plain, value_set=_NO)
    if not pc.any(rest).as_py():
        return quick
    return pc.replace_with_mask(quick, rest, on_each(texts.filter(rest), form))


def _trim_lower(value: str) -> str:
    return value.strip().lower() or value
