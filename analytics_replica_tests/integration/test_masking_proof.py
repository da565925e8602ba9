"""The masking proof passes what the seal made and finds every value that it did not make."""

from __future__ import annotations

import pyarrow as pa
import pytest

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.tables import Column, TableName
from analytics_replica.domain.verdicts import Outcome, Verdict
from analytics_replica.masking.proof import prove_masking
from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.treatments import SEALED, Kind, Treatment
from analytics_replica.postgres.connect import connection
from analytics_replica.settings.rules import Mask
from analytics_replica_tests.support.servers import Database

HELD = TableName("staging", "people")
KEY = bytes(32)

CASES = {
    "token": (Mask(mask="token", domain="d"), 25, "text", ["ada", ""], "ada"),
    "email": (Mask(mask="email", domain="d"), 25, "text", ["Ada@X.org", "", "none"], "ada@x.org"),
    "last4": (Mask(mask="last4"), 25, "text", ["4929123456789012", "12"], "4929123456789012"),
    "year": (Mask(mask="year"), 1082, "integer", ["1987-06-05", "infinity"], "19870605"),
    "initials": (Mask(mask="initials"), 25, "text", ["Ada King", ""], "Ada King"),
    "json": (
        Mask(mask="json", paths={"tier": "keep", "n": "keep"}),
        3802,
        "jsonb",
        ['{"tier": "a", "phone": "5"}', '{"n": 1}', "[1]"],
        '{"tier": "a", "phone": "5"}',
    ),
    "null": (Mask(mask="null"), 25, "text", ["anything"], "anything"),
}


def proof(warehouse: Database, treatment: Treatment, staging_type: str, *values: object) -> Verdict:
    warehouse.execute("create schema staging")
    warehouse.execute(f"create table staging.people (v {staging_type})")
    for value in values:
        warehouse.execute("insert into staging.people values (%s)", (value,))
    landed = LandedColumn(Column("v", 25, -1, "text"), treatment.describe(), staging_type)
    with connection(warehouse.dsn()) as opened:
        return prove_masking(opened, HELD, [landed], {"v": treatment})


@pytest.mark.parametrize("name", CASES)
def test_what_a_mask_made_passes_also_null(warehouse: Database, name: str) -> None:
    mask, _, staging_type, values, _ = CASES[name]
    texts = pa.array([*values, None], pa.string())
    made = mask_column(texts, mask, KEY).to_pylist()
    treatment = Treatment(Kind.MASK, mask, "k1")
    assert proof(warehouse, treatment, staging_type, *made).passed


@pytest.mark.parametrize("name", CASES)
def test_one_raw_value_fails_and_is_counted_but_not_shown(warehouse: Database, name: str) -> None:
    mask, _, staging_type, _, raw = CASES[name]
    verdict = proof(warehouse, Treatment(Kind.MASK, mask, "k1"), staging_type, raw, None)
    assert verdict.outcome is Outcome.FAIL
    assert "staging.people.v: 1 of 2 values" in str(verdict.findings[0])
    assert raw not in verdict.summary()


def test_a_sealed_column_that_holds_anything_fails(warehouse: Database) -> None:
    assert proof(warehouse, SEALED, "text", "secret").outcome is Outcome.FAIL


def test_a_policy_that_changed_after_landing_fails(warehouse: Database) -> None:
    warehouse.execute("create schema staging; create table staging.people (v text)")
    landed = LandedColumn(Column("v", 25, -1, "text"), "keep", "text")
    now = {"v": Treatment(Kind.MASK, Mask(mask="token", domain="d"), "k1")}
    with connection(warehouse.dsn()) as opened:
        verdict = prove_masking(opened, HELD, [landed], now)
    assert "was landed as keep, but the policy says token" in verdict.summary()


def test_a_table_that_is_not_there_is_not_a_pass(warehouse: Database) -> None:
    with connection(warehouse.dsn()) as opened:
        assert prove_masking(opened, HELD, [], {}).outcome is Outcome.CANNOT_TELL
