"""The masking proof passes what the seal made and finds every value that it did not make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from analytics_replica.domain.verdicts import Outcome
from analytics_replica.masking.proof.tables import Wanted, prove_masking
from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.treatments import SEALED, Kind, Treatment
from analytics_replica.postgres.connect import connection
from analytics_replica.settings.rules import Mask, MaskName
from analytics_replica_tests.support.proving import HELD, hold, proof, proof_of
from analytics_replica_tests.support.servers import Database

KEY = bytes(range(32))


@dataclass(frozen=True)
class Case:
    """A mask, its type in staging, values of production, and values that it cannot have made."""

    options: dict[str, Any]
    type_name: str
    values: tuple[str, ...]
    raw: tuple[object, ...]


PATHS = {
    "tier": "keep",
    "a,b": "keep",
    'say "hi"\'s': "keep",
    r"dot\.ted": "keep",
    "contact.mail": {"mask": "email", "domain": "email"},
    "items[].sku": "keep",
    "items[].tags[]": "keep",
    "born": {"mask": "year"},
    "who": {"mask": "token", "domain": "d", "as": "uuid"},
}
DOCUMENT = (
    '{"tier": "gold", "a,b": 1, "say \\"hi\\"\'s": true, "dot.ted": null, '
    '"contact": {"mail": "ann@example.com", "phone": "+1 555 010 0199"}, "born": "1987-06-05", '
    '"items": [{"sku": "A-1", "tags": ["x", 2], "note": "hers"}, 7, {"sku": null}], "who": "ada"}'
)

CASES = {
    "token": Case({"domain": "d"}, "text", ("ada", ""), ("ada", "a" * 31, "A" * 32)),
    "token as uuid": Case({"domain": "d", "as": "uuid"}, "uuid", ("ada", "", "bob"), ()),
    "token as int64": Case({"domain": "d", "as": "int64"}, "bigint", ("ada", "", "bob"), (4711,)),
    "token elements": Case(
        {"domain": "d", "elements": True},
        "text[]",
        ('{ada,"king, bob",NULL,""}', "{}", "{{a,b},{c,d}}"),
        (["ada"], ["a" * 32, None, "ada"]),
    ),
    "email": Case(
        {"domain": "d"},
        "text",
        ("Ada@X.org", "", "none"),
        ("ada@x.org", "a" * 32 + "@", "a" * 32 + "@x.org ada"),
    ),
    "email_domain": Case({}, "text", ("Ada@X.org", "", "none"), ("ada@x.org", "Ada King")),
    "last4": Case(
        {}, "text", ("4929123456789012", "12", ""), ("4929123456789012", "***9012", "****901")
    ),
    "phone_country": Case(
        {"region": "US"}, "text", ("+49 30 123456", "202-555-0143", "x", ""), ("+49", "de", "USA")
    ),
    "initials": Case({}, "text", ("Ada King", "", "ß o'hara x y"), ("Ada King", "Ada", "ABCD")),
    "year": Case({}, "integer", ("1987-06-05", "infinity"), (19870605, 0, -5)),
    "age_band": Case(
        {"as_of": date(2026, 1, 1)},
        "text",
        ("1987-06-05", "1930-01-01", "2026-01-01"),
        ("38", "1987-06-05", "31-40", "30-49", "90-99"),
    ),
    "network": Case(
        {},
        "text",
        ("10.20.30.40", "2001:db8:1:2::7", "::ffff:10.1.2.3", "10.0.0.0/8", "x", ""),
        (
            "10.20.30.40",
            "10.20.30.40/24",
            "10.20.30.40/32",
            "10.20.30.0/25",
            "2001:db8:1:2::/64",
            "2001:db8::7/48",
            "ada",
        ),
    ),
    "bucket": Case(
        {"width": 250}, "numeric", ("1234.5", "-3", "0", "NaN"), (1234, "1250.5", "NaN")
    ),
    "redact": Case(
        {"region": "US"},
        "text",
        (
            "write to ann@example.com or call +1 555 010 0199, card 4111 1111 1111 1111",
            "DE44 5001 0517 5407 3249 31, order 12345678, logo x[y]@host.de",
            "nothing (at all) in 2026-11 costs 12.50",
            "",
        ),
        (
            "write to ann@example.com",
            "call +1 555 010 0199",
            "no 4111-1111-1111-1111",
            "5550100199",
        ),
    ),
    "json": Case(
        {"paths": PATHS},
        "jsonb",
        (DOCUMENT, '{"tier": {"deep": 1}, "born": null}', "[1]", '"text"', "{}"),
        (
            '{"phone": "5"}',
            '{"a": 1}',
            '{"tier": {"name": "Ann"}}',
            '{"tier": ["Ann"]}',
            '{"contact": {"mail": "ann@example.com"}}',
            '{"contact": "ann"}',
            '{"items": [{"sku": "A-1", "note": "hers"}]}',
            '{"items": [{"tags": [{"x": 1}]}]}',
            '{"items": [7]}',
            '{"born": 19870605}',
            '{"who": "ada"}',
            '{"dot": {"ted": 1}}',
            "[]",
            '"ann"',
        ),
    ),
    "constant": Case({"value": "it's {gone}"}, "text", ("a", ""), ("a", "", "it's")),
    "null": Case({}, "text", ("anything",), ("anything", "")),
}


def treatment(case: str) -> Treatment:
    mask = case.split(maxsplit=1)[0]
    made = Mask.model_validate({"mask": mask, **CASES[case].options})
    return Treatment(Kind.MASK, made, "k1")


@pytest.mark.parametrize("case", CASES)
def test_what_a_mask_made_passes_also_null(warehouse: Database, case: str) -> None:
    done = treatment(case)
    assert done.mask is not None
    texts = pa.array([*CASES[case].values, None], pa.string())
    made = mask_column(texts, done.mask, KEY).to_pylist()
    verdict = proof(warehouse, done, CASES[case].type_name, *made)
    assert verdict.passed, verdict.summary()
    assert verdict.figures["rows_scanned"] == len(texts)


@pytest.mark.parametrize(
    ("case", "raw"), [(name, raw) for name, case in CASES.items() for raw in case.raw]
)
def test_one_raw_value_fails_and_is_counted_but_not_shown(
    warehouse: Database, case: str, raw: object
) -> None:
    done = treatment(case)
    made = mask_column(pa.array(CASES[case].values[:1]), done.mask or Mask(mask="null"), KEY)
    verdict = proof(warehouse, done, CASES[case].type_name, raw, *made.to_pylist())
    assert verdict.outcome is Outcome.FAIL
    assert str(verdict.findings[0]).startswith("staging.people.v: 1 of ")
    assert f"do not look like {done.describe()}" in str(verdict.findings[0]) or "int64" in case
    if len(str(raw)) > 4:
        assert str(raw) not in repr(verdict)


def test_every_mask_has_a_case() -> None:
    masks = set(MaskName.__args__) - {"keep"}  # type: ignore[attr-defined]
    assert {name.split(maxsplit=1)[0] for name in CASES} == masks


def test_uuids_of_production_are_no_tokens(warehouse: Database) -> None:
    done = treatment("token as uuid")
    hold(warehouse, "uuid", [])
    warehouse.execute(
        "insert into staging.people select gen_random_uuid() from generate_series(1, 20)"
    )
    assert proof_of(warehouse, done).outcome is Outcome.FAIL
    made = mask_column(pa.array([str(n) for n in range(2000)]), done.mask or Mask(mask="null"), KEY)
    verdict = proof(warehouse, done, "uuid", *made.to_pylist())
    assert verdict.passed
    assert "of 2,000" in str(verdict.figures["within_chance"])


def test_a_few_raw_numbers_among_many_tokens_of_64_bits_are_found(warehouse: Database) -> None:
    done = treatment("token as int64")
    made = mask_column(pa.array([str(n) for n in range(5000)]), done.mask or Mask(mask="null"), KEY)
    assert proof(warehouse, done, "bigint", *made.to_pylist()).passed
    warehouse.execute("insert into staging.people values (1), (2), (3)")
    assert "3 of 5,003 values" in proof_of(warehouse, done).summary()


@pytest.mark.parametrize("reason", ["", "the type changed: it's {odd}"])
def test_a_sealed_column_that_holds_anything_fails(warehouse: Database, reason: str) -> None:
    sealed = Treatment(Kind.SEALED, reason=reason)
    assert proof(warehouse, sealed, "text", None).passed
    verdict = proof(warehouse, sealed, "text", "secret", None)
    assert "1 of 2 values do not look like sealed" in verdict.summary()


def test_a_policy_that_changed_after_landing_fails(warehouse: Database) -> None:
    hold(warehouse, "text", [])
    verdict = proof_of(warehouse, treatment("token"), landed="keep")
    assert "was landed as keep, but the policy says token" in verdict.summary()


def test_rows_of_an_earlier_treatment_fail_unless_they_were_sealed(warehouse: Database) -> None:
    hold(warehouse, "text", [])
    other = 'token {"domain":"other","key":"k1"}'
    mixed = proof_of(warehouse, treatment("token"), before=other)
    assert f"has rows that were landed as {other}" in mixed.summary()
    assert proof_of(warehouse, treatment("token"), before="sealed").passed


def test_an_older_key_that_is_known_is_a_rotation_that_is_shown(warehouse: Database) -> None:
    hold(warehouse, "text", ["a" * 32])
    older = 'token {"domain":"d","key":"k0"}'
    pending = proof_of(warehouse, treatment("token"), landed=older, keys=["k0", "k1"])
    assert pending.passed
    assert pending.figures["rotation_pending"] == "v"
    mixed = proof_of(warehouse, treatment("token"), before=older, keys=["k0", "k1"])
    assert (mixed.passed, mixed.figures["rotation_pending"]) == (True, "v")
    assert not proof_of(warehouse, treatment("token"), landed=older, keys=["k1"]).passed
    other = 'token {"domain":"other","key":"k0"}'
    assert not proof_of(warehouse, treatment("token"), landed=other, keys=["k0", "k1"]).passed


def test_a_column_that_nobody_landed_fails(warehouse: Database) -> None:
    hold(warehouse, "text", [])
    warehouse.execute("alter table staging.people add copied_by_hand text")
    verdict = proof_of(warehouse, treatment("token"))
    assert "staging.people.copied_by_hand: is no column that was landed" in verdict.summary()


def test_a_treatment_that_cannot_be_read_fails(warehouse: Database) -> None:
    hold(warehouse, "text", [])
    verdict = proof_of(warehouse, treatment("token"), landed="token domain=d key=k1")
    assert "which this release cannot read" in verdict.summary()


def test_a_table_that_is_not_there_is_not_a_pass(warehouse: Database) -> None:
    with connection(warehouse.dsn()) as opened:
        assert prove_masking(opened, HELD, [], Wanted({})).outcome is Outcome.CANNOT_TELL


def test_a_proof_that_could_not_run_is_not_a_pass_and_others_go_on(warehouse: Database) -> None:
    hold(warehouse, "text", ["a" * 32])
    warehouse.execute("alter table staging.people rename v to w")
    assert proof_of(warehouse, SEALED).outcome is Outcome.CANNOT_TELL
    warehouse.execute("alter table staging.people rename w to v")
    with connection(warehouse.dsn("analyst")) as opened:
        wanted = Wanted({"v": SEALED})
        verdict = prove_masking(opened, HELD, [], wanted)
        assert verdict.outcome is not Outcome.PASS
        opened.cursor().execute("select 1")
