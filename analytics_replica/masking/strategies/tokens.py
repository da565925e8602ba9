"""The mask token: keyed stand-ins that are equal exactly where the values are.

Here: its three ways of being written. Not here: the token itself (hmac_tokens.py), what is made
equal before (contacts.py).
"""

from __future__ import annotations

import hmac

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.masking.strategies.contacts import normalised
from analytics_replica.masking.strategies.hmac_tokens import (
    INT64_BYTES,
    TOKEN_BYTES,
    digits_of,
    domain_key,
    tokens,
)
from analytics_replica.settings.rules import Mask


def apply_token(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The tokens of the column, in the form that the mask asks for."""
    forms = normalised(texts, mask)
    if mask.as_ in (None, "hex"):
        return tokens(forms, mask.domain or "", key)
    derived = domain_key(mask.domain or "", key)
    if mask.as_ == "uuid":
        return _as_uuid(_of_all(forms, derived, 2 * TOKEN_BYTES))
    return _as_int64(_of_all(forms, derived, 2 * INT64_BYTES))


def _of_all(forms: pa.Array, derived: bytes, digits: int) -> pa.Array:
    """The digits, also those of the empty text, which can stay what it is only as hex."""
    of_empty = hmac.digest(derived, b"", "sha256").hex()[:digits]
    return pc.if_else(pc.equal(forms, ""), of_empty, digits_of(forms, derived, digits))


def _as_uuid(digits: pa.Array) -> pa.Array:
    edges = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    return pc.binary_join_element_wise(
        *(pc.utf8_slice_codeunits(digits, first, last) for first, last in edges), "-"
    )


def _as_int64(digits: pa.Array) -> pa.Array:
    width = 2 * INT64_BYTES
    whole = pc.fill_null(digits, "0" * width).cast(pa.binary()).cast(pa.binary(width))
    codes = np.frombuffer(whole.buffers()[1], np.uint8)[whole.offset * width :]
    codes = codes[: len(whole) * width]
    nibbles = np.where(codes >= ord("a"), codes - (ord("a") - 10), codes - ord("0"))
    packed = ((nibbles[0::2] << 4) | nibbles[1::2]).astype(np.uint8)
    numbers = pa.array(packed.view(">i8").astype(np.int64))
    return pc.if_else(pc.is_valid(digits), numbers, None)
