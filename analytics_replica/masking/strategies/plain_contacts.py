"""Addresses and numbers that a library would leave as they are, found for a whole column at once.

Here: which texts are so plain that trimming, lower case and leaving out punctuation give what
email-validator and phonenumbers give. Not here: all others (contacts.py), the loops over bytes
(contact_loops.py). What is a plain number follows from phonenumbers' own metadata; property tests
compare both ways with the libraries.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, country_code_for_region

if TYPE_CHECKING:
    from analytics_replica.masking.strategies import contact_loops as loops

Firsts = npt.NDArray[np.int16]


def plain_emails(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The texts trimmed and in lower case, and for which of them that is their form.

    Both are as long as `texts`; a text of which it is not the form is empty in the first.
    """
    from analytics_replica.masking.strategies import contact_loops as loops  # noqa: PLC0415

    data, starts = loops.texts_of(texts)
    out, ends, plain = _room(len(data), len(texts))
    loops.lower_addresses(data, starts, out, ends, plain)
    return loops.made_of(out, ends, texts), pa.array(plain)


def plain_phones(texts: pa.Array, region: str | None) -> tuple[pa.Array, pa.Array]:
    """The numbers with `+` and country code, and for which of the texts that is their form.

    Both are as long as `texts`; a text of which it is not the form is empty in the first.
    """
    from analytics_replica.masking.strategies import contact_loops as loops  # noqa: PLC0415

    data, starts = loops.texts_of(texts)
    home = _at_home(region) if region is not None else np.zeros(1, np.int16)
    out, ends, plain = _room(len(data) + 4 * (len(texts) + 1), len(texts))
    loops.plain_numbers(data, starts, _abroad(), home, out, ends, plain)
    return loops.made_of(out, ends, texts), pa.array(plain)


def with_hosts(tokens: pa.Array, forms: pa.Array) -> pa.Array:
    """token@host for each address, the token alone where the form has no host; NULL stays NULL."""
    from analytics_replica.masking.strategies import contact_loops as loops  # noqa: PLC0415

    made, made_ends = loops.texts_of(tokens)
    data, starts = loops.texts_of(forms)
    out, ends, _ = _room(len(made) + len(data), len(forms))
    loops.with_hosts(made, made_ends, data, starts, out, ends)
    return loops.made_of(out, ends, tokens)


def _room(size: int, values: int) -> tuple[loops.Bytes, loops.Offsets, loops.Flags]:
    return np.empty(size, np.uint8), np.empty(values, np.int64), np.empty(values, np.bool_)


@cache
def _abroad() -> Firsts:
    """Country code → the first digits, as bits, of national numbers in which no prefix is found."""
    found = np.zeros(1000, np.int16)
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        found[code] = _first_digits(_metadata(code, regions[0]))
    return found


@cache
def _at_home(region: str) -> Firsts:
    """The first digits, as bits, of the region's numbers without any prefix, and its country code.

    No digits if its prefixes are not plain.
    """
    code = country_code_for_region(region)
    found = PhoneMetadata.metadata_for_region(region, None)
    abroad = (found.international_prefix or "") if found is not None else ""
    if not code or not abroad.isdecimal():
        return np.zeros(1, np.int16)
    taken = 1 << int(str(code)[0]) | 1 << int(abroad[0])
    return np.array([_first_digits(found) & ~taken, *str(code).encode()], np.int16)


def _metadata(code: int, region: str) -> PhoneMetadata | None:
    if region == "001":
        return PhoneMetadata.metadata_for_nongeo_region(code, None)
    return PhoneMetadata.metadata_for_region(region, None)


def _first_digits(metadata: PhoneMetadata | None) -> int:
    """The digits from 1 to 9, as bits, that begin a national number without a national prefix."""
    if metadata is None:
        return 0
    ways = (metadata.national_prefix_for_parsing or "0").split("|")
    if not all(way.isdecimal() for way in ways):
        return 0
    return sum(1 << digit for digit in range(1, 10) if str(digit) not in {w[0] for w in ways})
