"""The token of a value: HMAC-SHA-256 under a domain's key.

Here: its definition for one value and for a column. Not here: the mask (tokens.py), what is made
equal before (contacts.py), the arithmetic (bulk_hmac.py). docs/reference/tokens.md says how other
systems compute the same tokens.
"""

from __future__ import annotations

import hmac
from typing import Final

import pyarrow as pa

TOKEN_BYTES: Final = 16
"""128 bits: with 10^8 values the chance of any collision is about 10^-23."""

INT64_BYTES: Final = 8
"""64 bits: with 10^8 values the chance of any collision is about 3 in 10,000."""


def token_of(value: str, domain: str, key: bytes) -> str:
    """The token of one normalised value: 32 hex digits, equal for equal values of a domain and key.

    HMAC-SHA-256 under a key derived for the domain, cut to 128 bits. The empty text stays empty.
    """
    if not value:
        return value
    return hmac.digest(domain_key(domain, key), value.encode(), "sha256").hex()[: 2 * TOKEN_BYTES]


def domain_key(domain: str, key: bytes) -> bytes:
    """The key of one domain: tokens of two domains never join."""
    return hmac.digest(key, b"analytics-replica/token/v1/" + domain.encode(), "sha256")


def tokens(texts: pa.Array, domain: str, key: bytes) -> pa.Array:
    """`token_of` of a whole column of normalised texts at once; a test compares the two."""
    return digits_of(texts, domain_key(domain, key), 2 * TOKEN_BYTES)


def digits_of(texts: pa.Array, derived: bytes, digits: int) -> pa.Array:
    """The first hex digits of each text's HMAC under a domain's key; NULL and '' stay."""
    from analytics_replica.masking.bulk_hmac import hmac_hex  # noqa: PLC0415 - numba takes 0.7 s

    return hmac_hex(texts, derived, digits)
