"""Masks that leave less of a value: initials, year, age band, network, bucket, constant, null.

Here: masks without a key. Not here: tokens.py, contacts.py (people's addresses), redaction.py (free
text), documents.py (JSON).
"""

from __future__ import annotations

import ipaddress
from datetime import date
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.masking.strategies.strategy import on_distinct, on_each
from analytics_replica.settings.rules import Mask

OLDEST_BAND: Final = 90
"""Ages from here on are one band: there are too few people to hide among."""

_LONGEST_NUMBER: Final = 1000
"""Digits; PostgreSQL's numeric can have 131,072, and nobody counts anything with so many."""

_PLAIN_DATE: Final = r"^\d{4}-\d{2}-\d{2}[^B]*$"


def apply_year(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The year as a number; NULL for infinity, BC and years after 9999."""
    del mask, key
    plain = pc.match_substring_regex(texts, _PLAIN_DATE)
    return pc.utf8_slice_codeunits(pc.if_else(plain, texts, None), 0, 4).cast(pa.int32())


def apply_age_band(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The age in whole years on `as_of`, as a band: 30-39, 90+. NULL for who was not born yet."""
    del key
    today, width = mask.as_of or date.max, mask.width or 10

    def band(value: str) -> str | None:
        try:
            born = date.fromisoformat(value[:10])
        except ValueError:
            return None
        if value.endswith("BC") or (len(value) > 10 and value[10] != " "):
            return None
        age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
        if age < 0:
            return None
        low = age // width * width
        return f"{OLDEST_BAND}+" if low >= OLDEST_BAND else f"{low}-{low + width - 1}"

    return on_each(texts, band)


def apply_initials(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The first letters of the first three words, in upper case."""
    del mask, key
    return on_each(texts, lambda v: "".join(word[0].upper()[0] for word in v.split()[:3]))


def apply_network(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The network of the address, as CIDR; NULL for what is not an address."""
    del key
    bits = {4: 24 if mask.v4 is None else mask.v4, 6: 48 if mask.v6 is None else mask.v6}

    def network(value: str) -> str | None:
        try:
            found = ipaddress.ip_interface(value.strip())
        except ValueError:
            return None
        if (mapped := getattr(found.ip, "ipv4_mapped", None)) is not None:
            found = ipaddress.ip_interface(mapped)
        left = min(bits[found.version], found.network.prefixlen)
        # Not ip_network: it takes a small number, as of ::1.2.3.4, for an address of version 4.
        made = ipaddress.IPv4Network if found.version == 4 else ipaddress.IPv6Network
        return str(made((int(found.ip), left), strict=False))

    return on_each(texts, network)


def apply_bucket(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The lower bound of the number's bucket; NULL for NaN and infinities."""
    del key
    width = Decimal(mask.width or 1)

    def bound(value: str) -> str | None:
        if len(value) > _LONGEST_NUMBER:
            return None
        try:
            number = Decimal(value)
            return str(int((number / width).to_integral_value("ROUND_FLOOR") * width))
        except (ArithmeticError, ValueError):
            return None

    return on_distinct(texts, lambda values: map(bound, values))


def apply_constant(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The same text for every value."""
    del key
    return pc.if_else(pc.is_valid(texts), mask.value or "", None).cast(pa.string())


def apply_null(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """NULL for every value."""
    del mask, key
    return pa.nulls(len(texts), pa.string())
