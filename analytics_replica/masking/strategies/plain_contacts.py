"""Addresses and numbers that a library would leave as they are, found for a whole column at once.

Here: which texts are so plain that trimming, lower case and leaving out punctuation give what
email-validator and phonenumbers give. Not here: all others (contacts.py). The patterns of numbers
are made from phonenumbers' own metadata; property tests compare both ways with the libraries.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, country_code_for_region

_ATOM: Final = r"[A-Za-z0-9_+-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL: Final = rf"^{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]+$"
_INTERNATIONAL_HOST: Final = r"[@.](?i:xn--)"

_SPACES: Final = " \t\r\n"
_PUNCTUATION: Final = r"[ ().-]"
_NUMBER: Final = r"^\+?[0-9(][0-9 ().-]*$"


def plain_emails(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The texts trimmed and in lower case, and for which of them that is their form.

    Both are as long as `texts` and NULL where it is NULL.
    """
    trimmed = pc.ascii_trim(texts, _SPACES)
    plain = pc.and_(
        pc.match_substring_regex(trimmed, _EMAIL),
        pc.invert(pc.match_substring_regex(trimmed, _INTERNATIONAL_HOST)),
    )
    return pc.ascii_lower(trimmed), plain


def plain_phones(texts: pa.Array, region: str | None) -> tuple[pa.Array, pa.Array]:
    """The numbers with `+` and country code, and for which of the texts that is their form.

    Both are as long as `texts` and NULL where it is NULL.
    """
    written = pc.match_substring_regex(texts, _NUMBER)
    digits = pc.replace_substring_regex(texts, _PUNCTUATION, "")
    plain = pc.and_(written, pc.match_substring_regex(digits, _abroad()))
    if region is None or (home := _at_home(region)) is None:
        return digits, plain
    national = pc.and_(written, pc.match_substring_regex(digits, home))
    with_code = pc.binary_join_element_wise(f"+{country_code_for_region(region)}", digits, "")
    return pc.if_else(national, with_code, digits), pc.or_(plain, national)


@cache
def _abroad() -> str:
    """A pattern of `+` numbers in which no country's parser finds a national prefix."""
    codes = []
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        first = _first_digits(_metadata(code, regions[0]))
        if first:
            codes.append(f"{code}[{first}]")
    return rf"^\+(?:{'|'.join(codes)})[0-9]{{5,10}}$"


@cache
def _at_home(region: str) -> str | None:
    """A pattern of numbers of a region without any prefix; None if its prefixes are not plain."""
    code = country_code_for_region(region)
    found = PhoneMetadata.metadata_for_region(region, None)
    abroad = (found.international_prefix or "") if found is not None else ""
    if not code or not abroad.isdecimal():
        return None
    taken = {str(code)[0], abroad[0]}
    first = "".join(digit for digit in _first_digits(found) if digit not in taken)
    return rf"^[{first}][0-9]{{6,9}}$" if first else None


def _metadata(code: int, region: str) -> PhoneMetadata | None:
    if region == "001":
        return PhoneMetadata.metadata_for_nongeo_region(code, None)
    return PhoneMetadata.metadata_for_region(region, None)


def _first_digits(metadata: PhoneMetadata | None) -> str:
    """The digits from 1 to 9 that a national number begins with if it has no national prefix."""
    if metadata is None:
        return ""
    prefix = metadata.national_prefix_for_parsing
    if prefix is None:
        return "123456789"
    ways = prefix.split("|")
    if not all(way.isdecimal() for way in ways):
        return ""
    return "".join(d for d in "123456789" if d not in {way[0] for way in ways})
