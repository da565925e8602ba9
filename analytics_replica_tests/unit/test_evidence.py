"""What values say about their column: shares that are right, and never a value."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.masking.evidence import Evidence, look_at
from analytics_replica_tests.support.labelled import PROSE, VALUES

PROVEN = {
    "email": ["email"],
    "phone": ["phone", "phone_es", "phone_de"],
    "card": ["card", "iban"],
    "ip": ["ip"],
    "device": ["agent", "mac", "imei"],
    "national_id": ["ssn", "pesel", "idnr", "dni", "bsn", "cpf"],
    "secret": ["bcrypt", "jwt"],
}
HARMLESS = ["serial", "money", "count", "sku", "code", "day", "moment", "word", "uuid", "user"]


def values_of(sort: str, count: int = 300) -> list[str]:
    of = random.Random(sort)
    return [VALUES[sort](of) for _ in range(count)]


@pytest.mark.parametrize(("holds", "sort"), [(h, s) for h, sorts in PROVEN.items() for s in sorts])
def test_what_a_parser_or_a_check_digit_proves_is_named(holds: str, sort: str) -> None:
    assert look_at(values_of(sort)).holds == holds


@pytest.mark.parametrize("sort", HARMLESS)
def test_machinery_is_not_taken_for_a_persons(sort: str) -> None:
    seen = look_at(values_of(sort))
    assert (seen.holds, seen.traces) == (None, None)


@pytest.mark.parametrize("digits", [9, 10, 11, 12, 13, 15, 16])
def test_random_numbers_are_neither_phones_nor_cards_nor_official_numbers(digits: int) -> None:
    of = random.Random(digits)
    seen = look_at(str(of.randrange(10 ** (digits - 1), 10**digits)) for _ in range(500))
    assert (seen.holds, seen.traces) == (None, None)


def test_a_share_is_counted_over_values_that_are_there() -> None:
    seen = look_at([None, "", "  ", "ada@example.org", "ada@example.org", "open", "closed"])
    assert (seen.sampled, seen.distinct, seen.personal["email"]) == (4, 3, 0.5)
    assert str(seen) == "50 % of 4 sampled values are e-mail addresses"


def test_one_address_inside_many_texts_is_found() -> None:
    for told in (
        "mail ada@example.org",
        "card 4111 1111 1111 1111 ok",
        "DE89370400440532013000 IBAN",
    ):
        seen = look_at([*PROSE * 10, f"please note: {told} thank you"])
        assert seen.traces == "free_text", told
    assert look_at(PROSE * 10).traces is None


def test_elements_of_arrays_are_looked_at_one_by_one() -> None:
    seen = look_at(['{ada@example.org,"bob@example.org"}', "{}", None], array=True)
    assert (seen.sampled, seen.holds) == (2, "email")


def test_days_decades_apart_look_like_births_and_days_of_business_do_not() -> None:
    assert look_at(values_of("birth")).resembles == "birth_date"
    assert look_at(values_of("day")).resembles is None


@given(st.lists(st.text(min_size=4, max_size=40), min_size=1, max_size=20))
def test_no_text_breaks_the_judgement_and_no_value_is_in_what_it_says(values: list[str]) -> None:
    marked = [f"{value}~planted~" for value in values]
    seen = look_at([*values, *marked])
    assert "planted" not in f"{seen!r} {seen}"
    assert all(0 <= share <= 1 for share in [*seen.personal.values(), *seen.likely.values()])


def test_nothing_sampled_says_nothing() -> None:
    assert look_at([None, ""]) == Evidence(0)
    assert str(Evidence(0)) == ""
