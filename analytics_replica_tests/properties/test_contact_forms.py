"""One person has one token however the address or number was typed.

Oracles: the libraries email-validator and phonenumbers, one value at a time.
"""

from __future__ import annotations

import phonenumbers
import pyarrow as pa
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.strategies.contacts import normalised
from analytics_replica.masking.strategies.plain_contacts import plain_emails, plain_phones
from analytics_replica.settings.rules import Mask

KEY = bytes(range(32))
EMAIL = Mask(mask="token", domain="email", normalise="email")
REGIONS = (None, "US", "DE", "GB", "FR", "IT", "AU", "SG", "BR", "MX", "RU", "KZ", "AR", "AG")

ATOMS = st.text("abzAZ09_+-.", min_size=1, max_size=8)
HOSTS = st.lists(st.sampled_from(("x", "Mail", "a-b", "xn--mnchen-3ya", "-", "ü")), min_size=1)
ADDRESSES = st.builds(
    lambda before, local, hosts, end, after: f"{before}{local}@{'.'.join(hosts)}.{end}{after}",
    st.sampled_from(("", " ", "\t", "\u00a0", "Ada <")),
    ATOMS,
    HOSTS,
    st.sampled_from(("org", "ORG", "test", "local", "co.uk", "1", "")),
    st.sampled_from(("", " ", "\n", ">", "\u2003")),
)
NUMBERS = st.builds(
    "{}{}".format,
    st.sampled_from(("", "+", "00", "+1", "+49", "+39 0", "+44 (0)", "0", "1", "011", "+7")),
    st.text("0123456789 ().-", min_size=1, max_size=16),
)


def library_email(value: str) -> str:
    try:
        found = validate_email(value.strip(), check_deliverability=False, allow_display_name=True)
    except EmailNotValidError:
        return value.strip().lower() or value
    return found.normalized.lower()


@given(st.lists(st.one_of(ADDRESSES, st.text(max_size=12)), max_size=12))
def test_the_quick_way_through_addresses_is_what_the_library_says(values: list[str]) -> None:
    forms = normalised(pa.array(values, pa.string()), EMAIL).to_pylist()
    assert forms == [library_email(value) if value else "" for value in values]


@settings(max_examples=400)
@example(["+01200000", "+1200000"], None)
@given(st.lists(NUMBERS, min_size=1, max_size=20), st.sampled_from(REGIONS))
@example(["+44 (0)20 7946 0000", "+54 9 11 1234 5678", "+5212221234567"], None)
def test_the_quick_way_through_numbers_is_what_the_library_says(
    values: list[str], region: str | None
) -> None:
    forms, plain = plain_phones(pa.array(values, pa.string()), region)
    for value, form, is_plain in zip(values, forms.to_pylist(), plain.to_pylist(), strict=True):
        if is_plain:
            parsed = phonenumbers.parse(value, region)
            assert form == phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def test_numbers_as_most_people_write_them_take_the_quick_way() -> None:
    written = ["+1 555 123 4567", "+49 30 1234567", "+33 1 23 45 67 89", "+39 333 1234567"]
    assert plain_phones(pa.array(written), None)[1].to_pylist() == [True] * len(written)
    assert plain_phones(pa.array(["(555) 123-4567"]), "US")[1].to_pylist() == [True]
    assert plain_emails(pa.array([" Ada.King@Example.ORG"]))[1].to_pylist() == [True]


@given(st.from_regex(r"[2-9][0-9]{9}", fullmatch=True))
def test_one_number_typed_in_many_ways_has_one_token(digits: str) -> None:
    area, middle, last = digits[:3], digits[3:6], digits[6:]
    typed = [
        digits,
        f"({area}) {middle}-{last}",
        f"+1 {area} {middle} {last}",
        f"+1{digits}",
        f"001 {area} {middle} {last}",
        f"1-{area}-{middle}-{last}",
        f"011 1 {area} {middle} {last}",
        f" {area}.{middle}.{last} ",
    ]
    mask = Mask(mask="token", domain="phone", normalise="phone", region="US")
    assert len(set(mask_column(pa.array(typed), mask, KEY).to_pylist())) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+1 555 123 4567", "+1 555 123 4568"),
        ("+1 555 123 4567 ext. 1", "+1 555 123 4567 ext. 2"),
        ("+44 20 7946 0000", "+1 207 946 0000"),
        ("ask at the door", "ask at the gate"),
        ("", "0"),
    ],
)
def test_two_numbers_have_two_tokens(one: str, other: str) -> None:
    mask = Mask(mask="token", domain="phone", normalise="phone", region="US")
    made = mask_column(pa.array([one, other]), mask, KEY).to_pylist()
    assert made[0] != made[1]
