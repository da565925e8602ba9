"""Every mask on every type that it fits: what comes out says no more than the mask promises.

One row per mask; oracles are the promises themselves, written here as patterns, and PostgreSQL's
own text form of the values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.masking.strategies import STRATEGIES
from analytics_replica.masking.treatments import Kind, Treatment, recorded
from analytics_replica.settings.rules import Mask, resolved
from analytics_replica.settings.secrets import MaskingKeys

KEYS = MaskingKeys("k1", {"k1": bytes(range(32))})
HUGE = "Ada Lovelace 5551234567 ada@x.org " * 30_000

TEXT, DATE, STAMP, INET, JSONB = (
    (25, "text"),
    (1082, "date"),
    (1114, "timestamp"),
    (869, "inet"),
    (
        3802,
        "jsonb",
    ),
)
NUMERIC, INT8, UUID, BYTEA = (1700, "numeric"), (20, "bigint"), (2950, "uuid"), (17, "bytea")
TEXTS, DATES = (1009, "text[]"), (1182, "date[]")
ENUM = (20001, 'shop."Mood"')

PEOPLE = (
    "Ada Lovelace",
    "ada@x.org",
    "+1 555 123 4567",
    "+49 30 1234567",
    " ",
    "ß😀",
    "O'Neil\\\\",
    HUGE,
)
DAYS = ("1987-06-05", "0001-01-01", "9999-12-31", "infinity", "0044-03-15 BC", "12345-01-01")
SECONDS = ("1987-06-05 23:59:59.999999", "-infinity", "0044-03-15 12:00:00 BC")
AMOUNTS = ("1234.56", "-0.01", "NaN", "Infinity", "9" * 900, "0." + "0" * 900 + "1")
HOSTS = (
    "203.0.113.77",
    "203.0.113.77/32",
    "2001:db8::ff00:42:8329",
    "::ffff:203.0.113.77",
    "10.0.0.0/8",
)
ARRAYS = (
    "{}",
    '{a,NULL,"","b c","NULL"}',
    "{{a,b},{c,d}}",
    '[0:1]={x,"y\\"\\\\"}',
    '{"ada@x.org"}',
)
DOCUMENTS = (
    '{"tier": "gold", "contact": {"email": "ada@x.org", "phone": "5551234567"}, "ada@x.org": 1}',
    '{"items": [{"sku": "a", "note": "call 5551234567"}, "ada@x.org"], "tier": {"deep": "ada"}}',
    '["ada@x.org"]',
    '"ada@x.org"',
    "5551234567",
    '{"tier": 1e400000, "contact": {"email": null}, "n": 12345678901234567890.10}',
    '{"tier": "\\u0000", "items": [], "contact": []}',
    '{"tier": "\\ud800", "contact": {"email": "\\udfff"}}',
)

PATHS = {"tier": "keep", "contact.email": {"class": "email"}, "items[].sku": "keep"}
AS_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
OF_TOKENS = r"[{},]*((NULL|\"\"|[0-9a-f]{32})[{},]*)*"
HEX, CIDR = r"[0-9a-f]{32}", r"[0-9a-f.:]+/\d+"
Case = tuple[dict[str, Any], tuple[int, str], tuple[str, ...], str]

CASES: tuple[Case, ...] = (
    ({"mask": "token", "domain": "d"}, TEXT, PEOPLE, HEX),
    ({"mask": "token", "domain": "d"}, ENUM, ("happy", "sad"), HEX),
    ({"mask": "token", "domain": "d"}, BYTEA, ("\\x00ff", "\\x616461"), HEX),
    ({"mask": "token", "domain": "d"}, DATE, DAYS, HEX),
    ({"mask": "token", "domain": "d"}, JSONB, DOCUMENTS, HEX),
    ({"mask": "token", "domain": "d", "as": "uuid"}, UUID, ("0" * 8,), AS_UUID),
    ({"mask": "token", "domain": "d", "as": "int64"}, INT8, ("1", "-1"), r"-?\d{1,19}"),
    ({"mask": "token", "domain": "d", "elements": True}, TEXTS, ARRAYS, OF_TOKENS),
    ({"mask": "token", "domain": "d", "normalise": "phone", "region": "US"}, TEXT, PEOPLE, HEX),
    ({"class": "email"}, TEXT, PEOPLE, rf"{HEX}(@[a-z0-9.-]+)?"),
    ({"mask": "email_domain"}, TEXT, PEOPLE, r"[a-z0-9.-]+"),
    ({"mask": "last4"}, TEXT, PEOPLE, r"\*{4}([0-9]{4})?"),
    ({"mask": "phone_country", "region": "US"}, TEXT, PEOPLE, r"[A-Z]{2}"),
    ({"mask": "initials"}, TEXT, PEOPLE, r"\S{0,3}"),
    ({"mask": "year"}, DATE, DAYS, r"\d{1,4}"),
    ({"mask": "year"}, STAMP, SECONDS, r"\d{1,4}"),
    ({"mask": "year", "elements": True}, DATES, ("{1987-06-05,NULL}",), r"\{1987,NULL\}"),
    ({"mask": "age_band", "as_of": "2026-01-01"}, DATE, DAYS, r"\d+-\d+|90\+"),
    ({"mask": "network"}, INET, HOSTS, CIDR),
    ({"mask": "network"}, TEXT, (*HOSTS, "no address", HUGE), CIDR),
    ({"mask": "bucket", "width": 100}, NUMERIC, AMOUNTS, r"-?\d+"),
    ({"mask": "bucket", "width": 100}, INT8, ("199", "-1"), r"-?\d*0"),
    ({"mask": "json", "paths": PATHS}, JSONB, DOCUMENTS, r"\{.*\}"),
    ({"mask": "constant", "value": "x"}, TEXT, PEOPLE, "x"),
    ({"class": "free_text"}, TEXT, PEOPLE, ""),
    ({"class": "private"}, BYTEA, ("\\x00",), ""),
)  # fmt: skip


def seal_of(rule: dict[str, Any], kind: tuple[int, str]) -> TableSeal:
    mask = resolved(Mask.model_validate(rule), {}, None)
    assert isinstance(mask, Mask)
    column = Column("c", kind[0], -1, kind[1])
    policy = Policy({TableName("s", "t"): {"c": Treatment(Kind.MASK, mask, "k1")}})
    return TableSeal.of(Table(TableName("s", "t"), (column,)), policy, KEYS)


def sealed(seal: TableSeal, values: tuple[str | None, ...]) -> list[str | None]:
    made = seal.apply([pa.array(values, pa.string())])[0]
    assert made.exact is None
    return list(made.values.cast(pa.string()).to_pylist())


def raw_parts(value: str) -> Iterator[str]:
    """Parts of a value that say who or what it is."""
    yield from re.findall(
        r"ada@x|Ada Lovelace|555.?123.?4567|5551234567|O'Neil|06-05|0\.113\.77", value
    )


def ids(case: object) -> str | None:
    return json.dumps(case) if isinstance(case, dict) else None


@pytest.mark.parametrize(("rule", "kind", "values", "shape"), CASES, ids=ids)
def test_a_mask_gives_nothing_but_what_it_promises_on_every_type_it_fits(
    rule: dict[str, Any], kind: tuple[int, str], values: tuple[str, ...], shape: str
) -> None:
    seal = seal_of(rule, kind)
    made = sealed(seal, (*values, None, *values))
    assert made[len(values)] is None
    assert made[: len(values)] == made[len(values) + 1 :]
    for value, masked in zip(values, made, strict=False):
        if masked is not None:
            assert re.fullmatch(shape, masked, re.DOTALL)
            assert not [part for part in raw_parts(value) if part in masked]
    assert any(masked is not None for masked in made) == (shape != "")
    if kind[1] == "text" and rule.get("mask") not in ("constant", "null") and shape:
        assert sealed(seal, ("",)) == [""]


@pytest.mark.parametrize(("rule", "kind", "values", "shape"), CASES, ids=ids)
def test_a_value_is_masked_the_same_alone_and_in_any_company(
    rule: dict[str, Any], kind: tuple[int, str], values: tuple[str, ...], shape: str
) -> None:
    del shape
    seal = seal_of(rule, kind)
    assert [sealed(seal, (value,))[0] for value in values] == sealed(seal, values)


def test_every_mask_is_in_the_matrix() -> None:
    named = {rule.get("mask") for rule, *_ in CASES} | {"email", "null"}
    assert set(STRATEGIES) - named == {"redact"}  # test_redaction.py


@pytest.mark.parametrize(("rule", "kind", "values", "shape"), CASES, ids=ids)
def test_what_a_manifest_records_of_a_mask_can_be_read_back(
    rule: dict[str, Any], kind: tuple[int, str], values: tuple[str, ...], shape: str
) -> None:
    del values, shape
    treatment = seal_of(rule, kind).columns[0].treatment
    name, options = recorded(treatment)
    assert name == seal_of(rule, kind).treatments[0].mask.name  # type: ignore[union-attr]
    assert ("key" in options) == (name in ("token", "email") or "class" in str(rule.get("paths")))
    assert {k for k in rule if k not in ("mask", "class", "domain")} <= set(options)


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8),
    st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8),
)
def test_tokens_join_within_a_domain_and_with_nothing_else(
    left: list[str | None], right: list[str | None]
) -> None:
    one = sealed(seal_of({"mask": "token", "domain": "one"}, TEXT), tuple(left))
    same = sealed(seal_of({"mask": "token", "domain": "one"}, ENUM), tuple(right))
    other = sealed(seal_of({"mask": "token", "domain": "two"}, TEXT), tuple(right))
    for a, token in zip(left, one, strict=True):
        for b, joined, apart in zip(right, same, other, strict=True):
            if a is not None and b is not None:
                assert (token == joined) == (a == b)
                assert (token == apart) == (a == b == "")
