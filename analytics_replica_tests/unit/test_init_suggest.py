"""What a first replica.yaml suggests from names and types: nothing unsafe is kept by default."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.suggest import Suggestion, suggest
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.postgres.type_names import type_name
from analytics_replica.settings.rules import Mask

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
    """The suggested rule in one word: keep, drop, a mask, or decide."""
    found = of(name, kind, **options)  # type: ignore[arg-type]  # table and key, as the tests say
    if found.decide:
        return "decide"
    return found.rule.name if isinstance(found.rule, Mask) else found.rule


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
        ("phone", "bigint", "token"),
        ("Telefonnummer", "text", "token"),
        ("first_name", "text", "token"),
        ("lastName", "varchar", "token"),
        ("Straße", "text", "token"),
        ("postal_code", "varchar", "token"),
        ("ip_address", "inet", "token"),
        ("peer", "inet", "token"),
        ("tax_id", "bigint", "token"),
        ("ssn", "text", "token"),
        ("card_number", "varchar", "last4"),
        ("iban", "text", "last4"),
        ("date_of_birth", "date", "year"),
        ("birthday", "text", "null"),
        ("Geburtsdatum", "date", "year"),
        ("notes", "text", "null"),
        ("body", "text", "null"),
        ("gender", "enum", "null"),
        ("salary", "numeric", "null"),
        ("photo", "bytea", "null"),
        ("password_hash", "text", "drop"),
        ("api_key", "text", "drop"),
        ("resetToken", "uuid", "drop"),
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
    assert said("name", "text", table="legacy_users") == "token"


def test_what_waits_for_a_decision_is_null_or_an_empty_object_meanwhile() -> None:
    assert of("foo", "text").rule == Mask(mask="null")
    assert of("attributes", "jsonb").rule == Mask(mask="json")


def test_a_key_keeps_rows_apart_even_if_it_is_personal_or_unknown() -> None:
    assert said("id", "uuid", key=True) == "keep"
    assert of("email", "text", key=True).rule == Mask(mask="token", domain="email")
    assert of("foo", "text", key=True).rule == Mask(mask="token", domain="foo")
    assert said("password", "text", key=True) == "decide"


NAMES = st.sampled_from(["email", "phone", "ссн", "a b", "token", "dob", "card", "note", "x", "ip"])
COLUMNS = st.builds(
    lambda name, oid, key: Column(name, oid, -1, type_name(oid, -1), key=key),
    NAMES | st.text(min_size=1, max_size=12).filter(lambda name: not name.startswith("_replica_")),
    st.sampled_from(sorted(OID.values())),
    st.booleans(),
)


@given(st.lists(COLUMNS, min_size=1, max_size=8, unique_by=lambda column: column.name))
def test_every_suggestion_is_one_that_the_policy_accepts(columns: list[Column]) -> None:
    table = Table(TableName("s", "t"), tuple(columns))
    treatments = {
        name: Treatment(Kind.MASK, found.rule)
        if isinstance(found.rule, Mask)
        else Treatment(Kind(found.rule))
        for name, found in suggest(table).items()
    }
    Policy({table.name: treatments}).check(table)
