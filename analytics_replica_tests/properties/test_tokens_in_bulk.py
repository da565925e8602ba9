"""A column's tokens are HMAC-SHA-256, whatever its values and however many.

Oracle: Python's `hmac`.
"""

from __future__ import annotations

import hmac

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.errors import StreamInvalid
from analytics_replica.masking import bulk_hmac
from analytics_replica.masking.bulk_hmac import hmac_hex


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
