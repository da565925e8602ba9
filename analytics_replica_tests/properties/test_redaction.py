"""What is left of free text holds no address, number, card or account; the rest of it is left.

Oracles: values made by rule (check digits computed here), looked for in what came out.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.masking.strategies import mask_column
from analytics_replica.settings.rules import Mask

WORDS = st.lists(st.sampled_from(("please", "ring", "me,", "thanks!", "über", "(pm)", "ref:")))
SPACES = st.sampled_from((" ", "\n", "\t", " - ", ": "))


def redacted(text: str, region: str | None = "US") -> str:
    mask = Mask(mask="redact", region=region)
    return str(mask_column(pa.array([text]), mask, b"")[0].as_py())


def with_check_digit(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return digits + str(-total % 10)


def iban(country: str, account: str) -> str:
    number = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{account}"


CARDS = st.text("0123456789", min_size=15, max_size=15).map(lambda d: with_check_digit("4" + d[1:]))
GROUPED = CARDS.map(lambda c: " ".join(c[i : i + 4] for i in range(0, 16, 4)))
IBANS = st.text("0123456789", min_size=18, max_size=18).map(lambda a: iban("DE", a))
SPACED_IBANS = IBANS.map(lambda i: " ".join(i[n : n + 4] for n in range(0, 22, 4)))
PHONES = st.from_regex(r"[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True)
EMAILS = st.from_regex(r"[a-zA-Z0-9._%+-]{1,12}@[a-zA-Z0-9-]{1,8}\.[a-z]{2,4}", fullmatch=True)


def amid(before: list[str], gap: str, secret: str, after: list[str]) -> str:
    return f"{' '.join(before)}{gap}{secret}{gap}{' '.join(after)}"


@given(WORDS, SPACES, st.one_of(CARDS, GROUPED), WORDS)
def test_a_card_number_is_taken_out_of_any_text(
    before: list[str], gap: str, card: str, after: list[str]
) -> None:
    assert redacted(amid(before, gap, card, after)) == amid(before, gap, "[card]", after)


@given(WORDS, SPACES, st.one_of(IBANS, SPACED_IBANS), WORDS)
def test_an_account_number_is_taken_out_of_any_text(
    before: list[str], gap: str, account: str, after: list[str]
) -> None:
    made = redacted(amid(before, gap, account, after))
    assert "[iban]" in made
    assert account[4:] not in made


@given(WORDS, SPACES, EMAILS, WORDS)
def test_an_address_is_taken_out_of_any_text(
    before: list[str], gap: str, address: str, after: list[str]
) -> None:
    assert redacted(amid(before, gap, address, after)) == amid(before, gap, "[email]", after)


@given(WORDS, SPACES, PHONES, st.sampled_from(("{}", "+1 {}", "({:.3}) {:.3}-{}")), WORDS)
def test_a_phone_number_is_taken_out_of_any_text(
    before: list[str], gap: str, digits: str, form: str, after: list[str]
) -> None:
    written = {"{}": digits, "+1 {}": f"+1 {digits}"}.get(
        form, f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    )
    made = redacted(amid(before, gap, written, after))
    assert re.search(r"\[(phone|number|card)\]", made)
    assert digits[-4:] not in made


@given(st.text(max_size=60))
def test_what_was_redacted_has_nothing_left_to_redact(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), st.integers(7, 25))
def test_no_run_of_seven_digits_is_left(text: str, length: int) -> None:
    made = redacted(f"{text} {'7' * length} {text}")
    assert not re.search(r"\d{7}", made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Size 42, 2 of 3 boxes, paid 19.99 EUR on 5 May.",
        "Delivery within 3-5 days; use code SPRING24.",
        "Größe 42, 3,5 kg, à 12 €",
        "line\nbreaks\tstay  as they are ",
    ],
)
def test_text_without_any_of_it_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("mail ada＠example.org", "mail [email]"),
        ("mailto:ada%40example.org?x", "mailto:[email]"),
        ('<ada@x.org>, "b@y.org"', '<[email]>, "[email]"'),
        ("write o'connor@x.org, now", "write [email], now"),
        ('write "ada lovelace"@x.org', "write [email]"),
        ("order 12345678901", "order [number]"),
        ("ring ٠١٢٣٤٥٦٧٨٩", "ring [number]"),
    ],
)  # fmt: skip
def test_odd_spellings_are_found(text: str, becomes: str) -> None:
    assert redacted(text, region=None) == becomes


def test_a_text_too_long_to_search_is_taken_out_whole() -> None:
    assert redacted("a" * 100_001) == "[long text]"


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("+44 20~7946~0958", "[phone]"),
        ("202\x0b555\x0b0123", "[number]"),
        ("+49\x1c30\x1c123456", "+[number]"),
        ("4111,1111,1111,1111", "[card]"),
    ],
)
def test_signs_between_digits_hide_nothing_whatever_stands_beside(written: str, left: str) -> None:
    assert redacted(written, "GB") == left
    assert redacted(f"{written} é", "GB") == f"{left} é"


def test_an_address_goes_from_its_runs_beginning_to_the_end_of_its_host() -> None:
    assert redacted('to a@b.org\'c@d.org, or "Ann Lee"@x.org') == "to [email], or [email]"
    assert redacted("ada(comment)@example.org and @ada") == "ada(comment)[email] and @ada"


def test_a_long_text_without_spaces_is_left_or_is_one_address() -> None:
    attachment = "QUJD" * 24_000
    assert redacted(attachment) == attachment
    assert redacted(f"{attachment}@example.org") == "[email]"
