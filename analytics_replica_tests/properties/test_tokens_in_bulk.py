"""A column's tokens are HMAC-SHA-256, whatever its values and however many.

Oracle: Python's `hmac`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.errors import StreamInvalid
from analytics_replica.masking import bulk_hmac
from analytics_replica.masking.bulk_hmac import hmac_hex
from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.strategies.hmac_tokens import token_of
from analytics_replica.settings.rules import Mask

VECTORS = Path(__file__).parents[2] / "docs/reference/token-vectors.json"


def _expected(value: str | None, key: bytes, digits: int) -> str | None:
    return value and hmac.digest(key, value.encode(), "sha256").hex()[:digits]


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=200)), max_size=40),
    st.binary(min_size=1, max_size=100),
    st.sampled_from((8, 32, 64)),
    st.integers(0, 3),
)
def test_a_column_gives_what_hmac_gives(
    values: list[str | None], key: bytes, digits: int, skipped: int
) -> None:
    texts = pa.array(values, pa.string()).slice(skipped)
    expected = [_expected(value, key, digits) for value in values[skipped:]]
    assert hmac_hex(texts, key, digits).to_pylist() == expected


def test_every_length_around_a_block_gives_what_hmac_gives() -> None:
    values = ["x" * length for length in range(260)]
    expected = [_expected(value, b"key", 64) for value in values]
    assert hmac_hex(pa.array(values), b"key", 64).to_pylist() == expected


def test_a_processor_that_computes_it_wrong_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bulk_hmac.require_right_digits()
    bulk_hmac.require_right_digits.cache_clear()
    monkeypatch.setattr(bulk_hmac, "_INITIAL", bulk_hmac._INITIAL + 1)
    with pytest.raises(StreamInvalid, match="wrong digits"):
        hmac_hex(pa.array(["value"]), b"key", 32)


def test_who_knows_every_value_and_how_it_is_done_guesses_no_token_without_the_key() -> None:
    values = [f"{area}{number:04d}" for area in ("+1555123", "+1555987") for number in range(2_000)]
    key = os.urandom(32)
    made = mask_column(pa.array(values), Mask(mask="token", domain="phone"), key).to_pylist()
    published = json.loads(VECTORS.read_text(encoding="utf-8"))["key"]
    keys = (
        b"",
        bytes(32),
        b"phone",
        bytes.fromhex(published),
        key[:31],
        *map(os.urandom, [32] * 9),
    )
    guesses = {token_of(value, "phone", guess) for guess in keys for value in values}
    guesses |= {hmac.digest(b"phone", v.encode(), "sha256").hex()[:32] for v in values}
    for name in ("md5", "sha1", "sha256", "sha3_256", "blake2b"):
        guesses |= {hashlib.new(name, value.encode()).hexdigest()[:32] for value in values}
    assert guesses & set(made) == set()
    with_the_key = {token_of(value, "phone", key) for value in values}
    assert with_the_key == set(made)
