"""Kept columns hold no value that parses as a person's, and harmless values stop no night."""

from __future__ import annotations

import hashlib
import random
import uuid

import pytest

from analytics_replica.domain.verdicts import Outcome
from analytics_replica.masking.proof.tables import Allowed
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.settings.rules import Mask
from analytics_replica_tests.support.proving import KEEP, hold, proof, proof_of
from analytics_replica_tests.support.servers import Database

ADDRESSES = [
    "ann@example.com",
    "Ann King <ann.king+x@mail.example.co.uk>, twice",
    "jörg@münchen.de",
    "https://u:pw@host.de/x",
]
PHONES = ["+1 555 010 0199", "call (555) 010-0199 now", "tel:+49 (0) 30 1234567.", "+4930123456"]
CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "378282246310005",
    "3782 822463 10005",
    "5555555555554444",
    "paid with 6011111111111117.",
]
ACCOUNTS = [
    "DE44500105175407324931",
    "DE44 5001 0517 5407 3249 31",
    "GB29NWBK60161331926819",
    "pay ES91 2100 0418 4502 0005 1332 PAID",
    "MT84MALT011000012345MTLCAST001S",
]
RANDOM = random.Random(4)


def many(count: int, make: object) -> list[str]:
    assert callable(make)
    return [str(make(n)) for n in range(count)]


HARMLESS = {
    "uuids": many(3000, lambda _: uuid.UUID(int=RANDOM.getrandbits(128), version=4)),
    "hashes": many(3000, lambda n: hashlib.sha256(str(n).encode()).hexdigest()),
    "SKUs": many(500, lambda n: f"SKU-{n:05d}-4111-{n % 7}X"),
    "order numbers of 16 digits": many(3000, lambda n: 4_000_000_000_000_000 + 7919 * n),
    "order numbers in groups": many(500, lambda n: f"4000-0000-{n:04d}-{n * 37 % 9973:04d}"),
    "EANs": many(500, lambda n: 4_006_381_000_000 + 13 * n),
    "times as text": many(500, lambda n: f"2026-11-{n % 28 + 1:02d} 10:00:00.{n:06d}+02"),
    "times in ISO": many(500, lambda n: f"2026-11-21T10:00:{n % 60:02d}+10:00"),
    "times in ms": many(500, lambda n: 1_795_000_000_000 + n),
    "decimals": many(500, lambda n: f"0.41111111111{n:05d}"),
    "signed decimals": many(500, lambda n: f"+{1234567 + n}.89"),
    "coordinates": many(500, lambda n: f"+40.{446111 + n}-079.982222"),
    "tracking numbers": ["1Z999AA10123456784", "JJD000390007882827265", "RM123456785DE"] * 200,
    "SSCC": many(500, lambda n: f"{340434161094042557 + n:020d}"),
    "file names": ["logo@2x.png", "icon@3x.webp", "lodash@4.17.21", "@ann.example.com says"] * 50,
    "product texts": ["Fits (2019) 2020-2023, 100.000 pieces, 230V/50Hz, 12 x 1,5 l"] * 50,
    "our own tokens": [f"{'0123456789abcdef' * 2}@example.com"] * 50,
}


@pytest.mark.parametrize("value", [*ADDRESSES, *PHONES])
def test_one_address_or_phone_in_a_kept_column_fails(warehouse: Database, value: str) -> None:
    verdict = proof(warehouse, KEEP, "text", *HARMLESS["product texts"], value)
    assert verdict.outcome is Outcome.FAIL
    name = "e-mail addresses" if value in ADDRESSES else "phone numbers"
    assert f"1 of 51 values parse as {name}" in verdict.summary()
    assert value not in repr(verdict)


@pytest.mark.parametrize(
    ("values", "name"), [([c], "card numbers") for c in CARDS] + [([a], "IBANs") for a in ACCOUNTS]
)
def test_every_way_of_writing_a_card_or_an_iban_is_read(
    warehouse: Database, values: list[str], name: str
) -> None:
    verdict = proof(warehouse, KEEP, "text", *values * 6)
    assert f"6 of 6 values parse as {name}" in verdict.summary()


def test_cards_are_found_where_chance_cannot_explain_them_and_else_shown(
    warehouse: Database,
) -> None:
    few = proof(warehouse, KEEP, "text", *CARDS[:1] * 5)
    assert few.passed
    assert "v: 5 of 5 parse as card numbers" in str(few.figures["within_chance"])
    assert "6 card numbers, 4 IBANs" in str(few.figures["smallest_leak"])
    hold(warehouse, "text", HARMLESS["order numbers of 16 digits"])
    among = proof_of(warehouse, KEEP)
    assert among.passed
    smallest = int(str(among.figures["within_chance"]).split(" leak from ")[1].split()[0])
    warehouse.execute(
        "insert into staging.people select '4111111111111111' from generate_series(1, %s)",
        (smallest + 20,),
    )
    assert proof_of(warehouse, KEEP).outcome is Outcome.FAIL


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_values_stop_no_night(warehouse: Database, name: str) -> None:
    verdict = proof(warehouse, KEEP, "text", *HARMLESS[name])
    assert verdict.passed, verdict.summary()


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("jsonb", '{"a": [{"b": "mail ann@example.com"}]}'),
        ("text[]", ["x", "ann@example.com"]),
        ("character varying(50)", "ann@example.com"),
        ("json", '{"a": "ann@example.com"}'),
    ],
)
def test_documents_and_arrays_are_looked_through(
    warehouse: Database, type_name: str, value: object
) -> None:
    verdict = proof(warehouse, KEEP, type_name, value)
    assert "1 of 1 values parse as e-mail addresses" in verdict.summary()


@pytest.mark.parametrize("type_name", ["bigint", "numeric"])
def test_cards_that_are_kept_as_numbers_are_found(warehouse: Database, type_name: str) -> None:
    verdict = proof(warehouse, KEEP, type_name, *[4111111111111111] * 6, 1, None)
    assert "6 of 6 values parse as card numbers" in verdict.summary()


def test_what_replica_yaml_allows_is_not_looked_through(warehouse: Database) -> None:
    rules = {"v": Mask.model_validate({"mask": "keep", "because": "our suppliers' hotline"})}
    assert proof(warehouse, KEEP, "text", "+1 555 010 0199", allowed=Allowed.of(rules)).passed


def test_of_a_document_only_the_allowed_paths_are_left_out(warehouse: Database) -> None:
    paths = {"hotline.mail": {"mask": "keep", "because": "a supplier's"}, "note": "keep"}
    mask = Mask.model_validate({"mask": "json", "paths": paths})
    done, allowed = Treatment(Kind.MASK, mask, "k1"), Allowed.of({"v": mask})
    good = '{"hotline": {"mail": "help@example.com"}, "note": "x"}'
    assert proof(warehouse, done, "jsonb", good, allowed=allowed).passed
    bad = '{"hotline": {"mail": "help@example.com"}, "note": "ann@example.com"}'
    assert not proof(warehouse, done, "jsonb", bad, allowed=allowed).passed
