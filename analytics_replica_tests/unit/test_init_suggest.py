"""What a first replica.yaml suggests from names and types: nothing unsafe is kept by default."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.tables import Column, Identity, Table, TableName
from analytics_replica.masking.evidence import look_at
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.suggest import Suggestion, suggest
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.postgres.type_names import type_name
from analytics_replica.settings.rules import Mask, resolved

OID = {
    "text": 25,
    "varchar": 1043,
    "bigint": 20,
    "numeric": 1700,
    "boolean": 16,
    "date": 1082,
    "timestamptz": 1184,
    "uuid": 2950,
    "jsonb": 3802,
    "inet": 869,
    "bytea": 17,
    "text[]": 1009,
    "enum": 20001,
}


def of(name: str, kind: str, *, table: str = "things", key: bool = False) -> Suggestion:
    column = Column(name, OID[kind], -1, kind, key=key)
    return suggest(Table(TableName("public", table), (column,)))[name]


def said(name: str, kind: str, **options: object) -> str:
    """The suggested rule in short: keep, decide, a class, or a class and its mask."""
    found = of(name, kind, **options)  # type: ignore[arg-type]  # table and key, as the tests say
    if found.decide:
        return "decide"
    if not isinstance(found.rule, Mask):
        return found.rule
    own = [text for text in (found.rule.mask, "elements" * found.rule.elements) if text]
    return " ".join([str(found.holds), *own])


@pytest.mark.parametrize(
    ("name", "kind", "rule"),
    [
        ("id", "bigint", "keep"),
        ("customer_id", "uuid", "keep"),
        ("created_at", "timestamptz", "keep"),
        ("is_active", "boolean", "keep"),
        ("email_verified", "boolean", "keep"),
        ("total", "numeric", "keep"),
        ("status", "enum", "keep"),
        ("currency", "text", "keep"),
        ("order_date", "date", "keep"),
        ("address_id", "bigint", "keep"),
        ("phone_type", "text", "keep"),
        ("email", "text", "email"),
        ("EMail", "varchar", "email"),
        ("contact_email", "text", "email"),
        ("phone", "bigint", "phone"),
        ("Telefonnummer", "text", "phone"),
        ("first_name", "text", "name"),
        ("lastName", "varchar", "name"),
        ("Straße", "text", "address"),
        ("postal_code", "varchar", "postcode"),
        ("ip_address", "inet", "ip"),
        ("peer", "inet", "ip"),
        ("tax_id", "bigint", "national_id"),
        ("ssn", "text", "national_id"),
        ("card_number", "varchar", "card"),
        ("iban", "text", "card"),
        ("card_number", "bigint", "card null"),
        ("emails", "text[]", "email elements"),
        ("blood_type", "text", "private"),
        ("reason_code", "text", "keep"),
        ("date_of_birth", "date", "birth_date"),
        ("birthday", "text", "birth_date null"),
        ("Geburtsdatum", "date", "birth_date"),
        ("notes", "text", "free_text"),
        ("body", "text", "free_text"),
        ("gender", "enum", "private"),
        ("salary", "numeric", "private"),
        ("photo", "bytea", "private"),
        ("password_hash", "text", "secret"),
        ("api_key", "text", "secret"),
        ("resetToken", "uuid", "secret"),
        ("attributes", "jsonb", "decide"),
        ("foo", "text", "decide"),
        ("tags", "text[]", "decide"),
        ("d1", "date", "decide"),
        ("mood", "enum", "decide"),
        ("имя", "text", "decide"),
        ("телефон", "bigint", "decide"),
        ("name", "text", "decide"),
    ],
)
def test_a_column_is_judged_by_its_name_and_type(name: str, kind: str, rule: str) -> None:
    assert said(name, kind) == rule


def test_a_name_is_a_persons_in_a_table_of_people() -> None:
    assert said("name", "text", table="legacy_users") == "name"


def test_what_waits_for_a_decision_is_null_or_an_empty_object_meanwhile() -> None:
    assert of("foo", "text").rule == Mask(mask="null")
    assert of("attributes", "jsonb").rule == Mask(mask="json")


def test_a_key_keeps_rows_apart_even_if_it_is_personal_or_unknown() -> None:
    assert said("id", "uuid", key=True) == "keep"
    exact = {"class": "email", "mask": "token", "domain": "email_exact", "normalise": "none"}
    assert of("email", "text", key=True).rule == Mask.model_validate(exact)
    assert said("full_name", "text", key=True) == "name"
    assert of("foo", "text", key=True).rule == Mask(mask="token", domain="foo")
    assert said("password", "text", key=True) == "decide"


def test_nothing_is_dropped_from_a_table_that_logs_whole_rows() -> None:
    column = Column("password", OID["text"], -1, "text")
    whole = Table(TableName("public", "things"), (column,), Identity.FULL)
    found = suggest(whole)["password"]
    assert isinstance(found.rule, Mask)
    assert (found.holds, found.rule.mask) == ("secret", "null")


def seen(name: str, kind: str, *values: str) -> Suggestion:
    column = Column(name, OID[kind], -1, kind)
    table = Table(TableName("public", "things"), (column,))
    return suggest(table, {name: look_at(values, array=kind.endswith("[]"))})[name]


def test_values_can_overrule_a_name_that_says_machinery_but_never_make_a_column_kept() -> None:
    emails = [f"ada{n}@example.org" for n in range(40)]
    assert seen("status", "text", *emails).holds == "email"
    assert seen("login", "text", *emails).holds == "email"
    assert seen("notes", "text", *emails).holds == "free_text"
    assert seen("email", "text", "open", "closed", "open").holds == "email"
    assert seen("foo", "text", *["a", "b"] * 50).rule == Mask(mask="null")


def test_a_few_personal_values_among_codes_wait_for_a_person() -> None:
    found = seen("code", "text", *["A1", "B2"] * 99, "ada@example.org", "bob@example.org")
    assert (found.holds, found.decide) == ("free_text", True)
    assert "1 % of 200 sampled values are e-mail addresses" in found.reason


def test_an_override_of_a_class_that_keeps_is_never_proposed() -> None:
    table = Table(TableName("public", "things"), (Column("city", OID["text"], -1, "text"),))
    kept = Mask.model_validate({"mask": "keep", "because": "only the largest cities"})
    found = suggest(table, classes={"city": kept})["city"]
    assert isinstance(found.rule, Mask)
    assert found.rule.mask == "null"


NAMES = st.sampled_from(["email", "phone", "ссн", "a b", "token", "dob", "card", "note", "x", "ip"])
COLUMNS = st.builds(
    lambda name, oid, key: Column(name, oid, -1, type_name(oid, -1), key=key),
    NAMES | st.text(min_size=1, max_size=12).filter(lambda name: not name.startswith("_replica_")),
    st.sampled_from(sorted(OID.values())),
    st.booleans(),
)


# Of names that differ only in case a person drops one: no suggestion may choose which.
@given(st.lists(COLUMNS, min_size=1, max_size=8, unique_by=lambda column: column.name.casefold()))
def test_every_suggestion_is_one_that_the_policy_accepts(columns: list[Column]) -> None:
    table = Table(TableName("s", "t"), tuple(columns))
    rules = {name: resolved(found.rule, {}, "US") for name, found in suggest(table).items()}
    treatments = {
        name: Treatment(Kind.MASK, rule) if isinstance(rule, Mask) else Treatment(Kind(rule))
        for name, rule in rules.items()
    }
    Policy({table.name: treatments}).check(table)
