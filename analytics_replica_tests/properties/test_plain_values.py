"""Plain dates, timestamps and numbers are what Python and Arrow read; others go the careful way."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.postgres import plain

UTC_TIME = pa.timestamp("us", "UTC")
LOCAL_TIME = pa.timestamp("us")


def read(values: pa.Array | None) -> list[object]:
    assert values is not None
    return list(values.to_pylist())


@given(st.lists(st.one_of(st.none(), st.dates()), min_size=1))
def test_every_date_of_the_calendar_is_read(values: list[date | None]) -> None:
    texts = pa.array([value and value.isoformat() for value in values], pa.string())
    assert read(plain.dates(texts)) == values


@given(st.lists(st.one_of(st.none(), st.datetimes()), min_size=1), st.integers(0, 6))
def test_every_moment_is_read_with_as_many_digits_as_it_has(
    values: list[datetime | None], digits: int
) -> None:
    def cut(value: datetime) -> datetime:
        return value.replace(
            microsecond=value.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits)
        )

    def text(value: datetime) -> str:
        fraction = f".{value.microsecond:06d}"[: digits + 1] if digits else ""
        return f"{value:%H:%M:%S}{fraction}"

    kept = [value and cut(value) for value in values]
    texts = [value and f"{value.date().isoformat()} {text(value)}" for value in kept]
    assert read(plain.timestamps(pa.array(texts, pa.string()), LOCAL_TIME)) == kept
    zoned = pa.array([value and f"{value}+00" for value in texts], pa.string())
    expected = [value and value.replace(tzinfo=UTC) for value in kept]
    assert read(plain.timestamps(zoned, UTC_TIME)) == expected


@given(
    st.integers(0, 6).flatmap(
        lambda scale: st.tuples(
            st.just(scale), st.lists(st.integers(-(10**15), 10**15), min_size=1)
        )
    )
)
def test_every_number_that_fits_is_read(drawn: tuple[int, list[int]]) -> None:
    scale, unscaled = drawn
    values = [Decimal(number).scaleb(-scale) for number in unscaled]
    texts = pa.array([f"{value:.{scale}f}" for value in values])
    assert read(plain.decimals(texts, pa.decimal128(38, scale))) == values


@given(st.lists(st.text(max_size=30), min_size=1))
def test_whatever_else_is_written_there_is_never_misread(values: list[str]) -> None:
    texts = pa.array(values)
    days = plain.dates(texts)
    assert days is None or days.equals(texts.cast(pa.date32()))
    for kind in (UTC_TIME, LOCAL_TIME):
        plain.timestamps(texts, kind)  # no value reads beyond its text
    plain.decimals(texts, pa.decimal128(12, 2))


@pytest.mark.parametrize(
    "text",
    [
        *("infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "2026-13-01", "2026-1-01", ""),
        *("0000-01-01", "2026-00-10", "2026-01-00", "2026/01/01"),
        *("2026-02-29", "2026-04-31", "1900-02-29"),
    ],
)
def test_a_date_that_is_not_plain_goes_the_careful_way(text: str) -> None:
    assert plain.dates(pa.array(["2026-01-01", text])) is None


@pytest.mark.parametrize(
    "text",
    [
        *("infinity", "2026-01-01 24:00:00", "2026-01-01 00:00:00.", "2026-01-01T00:00:00"),
        *("2026-01-01 00:00:00 BC", "12026-01-01 00:00:00", "2026-01-01 00:00:00.1234567"),
        *("2026-01-01 00:60:00", "2026-01-01 00:00:60", "2026-01-01 00:00:00+00", ""),
    ],
)
def test_a_timestamp_that_is_not_plain_goes_the_careful_way(text: str) -> None:
    assert plain.timestamps(pa.array([text]), LOCAL_TIME) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1", "1.5", "1.555", "-", "", "1e5", "9" * 19])
def test_a_number_that_is_not_plain_goes_the_careful_way(text: str) -> None:
    assert plain.decimals(pa.array([text]), pa.decimal128(38, 2)) is None
