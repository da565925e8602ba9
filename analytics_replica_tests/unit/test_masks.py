"""What each mask gives, with test vectors that other systems can check against."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import struct
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.errors import PolicyViolation
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.masking.strategies import STRATEGIES, mask_column
from analytics_replica.masking.strategies.contacts import normal_form
from analytics_replica.masking.strategies.hmac_tokens import token_of
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.settings.rules import Mask, resolved
from analytics_replica.settings.secrets import MaskingKeys

KEY = bytes(range(32))
DOCS = Path(__file__).parents[2] / "docs/reference"
KEYS = MaskingKeys("k1", {"k1": KEY})


def masked(mask: Mask, *values: str | None) -> list[object]:
    texts = pa.array(values, pa.string())
    return list(mask_column(texts, mask, KEY).to_pylist())


def test_a_token_is_what_the_reference_says() -> None:
    domain_key = hmac.new(KEY, b"analytics-replica/token/v1/email", hashlib.sha256).digest()
    expected = hmac.new(domain_key, b"ada@x.org", hashlib.sha256).hexdigest()[:32]
    assert token_of("ada@x.org", "email", KEY) == expected
    assert masked(Mask(mask="token", domain="email"), "ada@x.org") == [expected]


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=20))
def test_tokens_are_equal_exactly_where_values_are_and_null_and_empty_stay(
    values: list[str | None],
) -> None:
    tokens = masked(Mask(mask="token", domain="d"), *values)
    for value, token in zip(values, tokens, strict=True):
        assert (value is None) == (token is None)
        assert (value == "") == (token == "")
    assert len(set(values)) == len(set(tokens))


def test_tokens_of_another_domain_or_key_never_join() -> None:
    assert token_of("a", "one", KEY) != token_of("a", "two", KEY)
    assert token_of("a", "one", KEY) != token_of("a", "one", KEY[::-1])


def test_one_person_typed_in_many_ways_has_one_email_token() -> None:
    tokens = masked(
        Mask(mask="email", domain="email"), " Ada@X.org", "ada@x.ORG ", "ada@x.org", None, ""
    )
    assert len(set(tokens[:3])) == 1
    assert str(tokens[0]).endswith("@x.org")
    assert tokens[3:] == [None, ""]


def test_one_phone_written_in_many_ways_has_one_token() -> None:
    mask = Mask(mask="token", domain="phone", normalise="phone", region="US")
    tokens = masked(mask, "+1 555 123 4567", "(555) 123-4567", "555-123-4567", "001 555 1234567")
    assert len(set(tokens)) == 1


@pytest.mark.parametrize(
    ("mask", "value", "becomes"),
    [
        (Mask(mask="last4"), "4929 1234 5678 9012", "****9012"),
        (Mask(mask="last4"), "12345", "****"),
        (Mask(mask="year"), "1987-06-05", 1987),
        (Mask(mask="year"), "infinity", None),
        (Mask(mask="year"), "0044-03-15 BC", None),
        (Mask(mask="initials"), "Ada  King Lovelace", "AKL"),
        (
            Mask(mask="json", paths={"tier": "keep", "n": "keep"}),
            '{"tier":"a","phone":"5","n":1.50}',
            '{"tier": "a", "n": 1.50}',
        ),
        (Mask(mask="json", paths={"tier": "keep"}), '{"tier": {"phone": "5"}}', "{}"),
        (Mask(mask="json", paths={"tier": "keep"}), '["5551234"]', None),
        (Mask(mask="email_domain"), "o'connor@X.org", "x.org"),
        (Mask(mask="email_domain"), "@ada.lovelace", None),
        (Mask(mask="email_domain"), "I am @ada.lovelace", None),
        (Mask(mask="email_domain"), "ada@lovelace", None),
        (Mask(mask="constant", value="x"), "anything", "x"),
        (Mask(mask="network"), "203.0.113.7", "203.0.113.0/24"),
        (Mask(mask="network", v6=32), "::203.0.113.7", "::/32"),
        (Mask(mask="network"), "::1.2.3.4", "::/48"),
        (Mask(mask="network"), "::ffff:203.0.113.7", "203.0.113.0/24"),
        (Mask(mask="bucket", width=10), "1e1000000", None),
        (Mask(mask="bucket", width=10), "17.5", "10"),
        (
            Mask(mask="token", domain="d", elements=True),
            "{a;b}",
            f"{{{token_of('a;b', 'd', KEY)}}}",
        ),
        (Mask(mask="null"), "anything", None),
        (Mask(mask="email", domain="d"), "no address", token_of("no address", "d", KEY)),
    ],
)
def test_a_mask_gives_what_it_promises_and_null_stays_null(
    mask: Mask, value: str, becomes: object
) -> None:
    assert masked(mask, value, None) == [becomes, None]


def policy_of(**columns: Treatment) -> Policy:
    return Policy({TableName("s", "t"): columns})


def table_of(*columns: Column) -> Table:
    return Table(TableName("s", "t"), columns)


ID = Column("id", 25, -1, "text", key=True)
NOTE = Column("note", 25, -1, "text")


@pytest.mark.parametrize(
    "treatment",
    [
        Treatment(Kind.DROP),
        Treatment(Kind.SEALED),
        Treatment(Kind.MASK, Mask(mask="null")),
        Treatment(Kind.MASK, Mask(mask="last4")),
        Treatment(Kind.MASK, Mask(mask="token", domain="d", normalise="trim_lower")),
    ],
)
def test_a_key_that_would_lose_uniqueness_is_refused(treatment: Treatment) -> None:
    with pytest.raises(PolicyViolation, match=r"s\.t\.id"):
        TableSeal.of(table_of(ID), policy_of(id=treatment), KEYS)


def test_a_mask_that_does_not_fit_the_type_is_refused() -> None:
    number = Column("n", 23, -1, "integer")
    year = Treatment(Kind.MASK, Mask(mask="year"))
    with pytest.raises(PolicyViolation, match="does not fit its type integer"):
        TableSeal.of(table_of(number), policy_of(n=year), KEYS)


def test_columns_that_differ_only_in_case_are_refused_unless_one_is_dropped() -> None:
    table = table_of(ID, Column("qty", 23, -1, "integer"), Column("Qty", 23, -1, "integer"))
    keep = Treatment(Kind.KEEP)
    with pytest.raises(PolicyViolation, match="only in case"):
        TableSeal.of(table, policy_of(id=keep, qty=keep, Qty=keep), KEYS)
    TableSeal.of(table, policy_of(id=keep, qty=keep, Qty=Treatment(Kind.DROP)), KEYS)


def test_an_unlisted_column_is_sealed_and_a_dropped_one_is_absent() -> None:
    policy = policy_of(id=Treatment(Kind.KEEP), note=Treatment(Kind.DROP))
    new = Column("new", 25, -1, "text")
    seal = TableSeal.of(table_of(ID, NOTE, new), policy, KEYS)
    assert [(c.column.name, c.treatment) for c in seal.columns] == [
        ("id", "keep"),
        ("new", "sealed"),
    ]
    texts = [pa.array(["1"]), pa.array(["secret"]), pa.array(["secret"])]
    assert [c.values.to_pylist() for c in seal.apply(texts)] == [["1"], [None]]


def test_a_value_that_a_mask_cannot_read_becomes_null_and_stops_nothing() -> None:
    document = Column("j", 3802, -1, "jsonb")
    policy = policy_of(j=Treatment(Kind.MASK, Mask(mask="json", paths={"a": "keep"})))
    seal = TableSeal.of(table_of(document), policy, KEYS)
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    made = seal.apply([pa.array(["{broken 5551234567", deep, '{"a": 1}'])])
    assert made[0].values.to_pylist() == [None, None, '{"a": 1}']


VECTORS = json.loads((DOCS / "token-vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: f"{v['domain']} {v['value']}")
def test_the_published_vectors_are_what_we_and_an_independent_hmac_compute(
    vector: dict[str, Any],
) -> None:
    key = bytes.fromhex(VECTORS["key"])
    derived = hmac.new(key, f"analytics-replica/token/v1/{vector['domain']}".encode(), "sha256")
    digest = hmac.new(derived.digest(), vector["form"].encode(), hashlib.sha256).digest()
    expected = {
        "hex": digest.hex()[:32] if vector["form"] else "",
        "uuid": str(uuid.UUID(digest.hex()[:32])),
        "int64": struct.unpack(">q", digest[:8])[0],
    }
    options = {n: vector[n] for n in ("domain", "normalise", "region") if vector[n] is not None}
    for written, token in expected.items():
        mask = Mask.model_validate({"mask": "token", "as": written, **options})
        made = mask_column(pa.array([vector["value"]]), mask, key).to_pylist()
        assert made == [token] == [vector[written]]
        assert normal_form(vector["value"], mask.normalise, mask.region) == vector["form"]


def test_the_page_on_tokens_shows_vectors_of_the_file() -> None:
    page = (DOCS / "tokens.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| `(.+)` \| `([0-9a-f]{32})` \|$", page, re.MULTILINE)
    known = {(v["domain"], v["form"], v["hex"]) for v in VECTORS["vectors"]}
    assert len(shown) == 3
    assert set(shown) <= known


EXAMPLES = re.findall(
    r"^\| `(\{.+\})` \| `(.+?)` \| (?:`(.+)` )?\|$",
    (DOCS / "masks.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("rule", "value", "becomes"), EXAMPLES)
def test_every_example_of_the_page_on_masks_is_what_the_mask_gives(
    rule: str, value: str, becomes: str
) -> None:
    mask = resolved(Mask.model_validate(yaml.safe_load(rule)), {}, None)
    assert isinstance(mask, Mask)
    made = mask_column(pa.array([value]), mask, KEY)[0].as_py()
    assert (made is None) == (becomes == "")
    assert made is None or str(made) == becomes


def test_the_page_on_masks_shows_every_mask() -> None:
    rules = [Mask.model_validate(yaml.safe_load(rule)) for rule, *_ in EXAMPLES]
    shown = [resolved(rule, {}, None) for rule in rules]
    assert {mask.name for mask in shown if isinstance(mask, Mask)} == set(STRATEGIES)
