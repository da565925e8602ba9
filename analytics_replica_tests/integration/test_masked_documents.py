"""Masked arrays and documents are what PostgreSQL reads, with the shape that production has.

Oracle: PostgreSQL, which prints the arrays and reads the results.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from analytics_replica.masking.strategies import mask_column
from analytics_replica.settings.rules import Mask, resolved
from analytics_replica_tests.support.servers import Database

KEY = bytes(range(32))
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
ELEMENTS = st.one_of(st.none(), TEXTS, st.sampled_from(("NULL", '"', "\\", "{", ",", " ", "")))
FLAT = st.lists(ELEMENTS, max_size=5)
ARRAYS = st.one_of(
    FLAT, st.tuples(FLAT, st.integers(1, 3)).map(lambda a: [list(a[0])] * a[1] if a[0] else [])
)
SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def masked(rule: dict[str, Any], text: str) -> str:
    mask = resolved(Mask.model_validate(rule), {}, None)
    assert isinstance(mask, Mask)
    return str(mask_column(pa.array([text]), mask, KEY)[0].as_py())


def token(value: str | None) -> str | None:
    domain = hmac.digest(KEY, b"analytics-replica/token/v1/d", "sha256")
    return value and hmac.digest(domain, value.encode(), "sha256").hex()[:32]


@pytest.fixture
def cursor(warehouse: Database) -> Iterator[Any]:
    with closing(psycopg2.connect(warehouse.dsn())) as opened, opened.cursor() as cursor:
        yield cursor


@SETTINGS
@given(array=ARRAYS)
@example(array=[None, "NULL", "", 'a"b\\c', "x y"])
def test_every_element_is_masked_and_the_array_keeps_its_shape(cursor: Any, array: Any) -> None:
    cursor.execute("select (%s::text[])::text, array_dims(%s::text[])", (array, array))
    text, dims = cursor.fetchone()
    made = masked({"mask": "token", "domain": "d", "elements": True}, text)
    cursor.execute("select %s::text[], array_dims(%s::text[])", (made, made))
    found, found_dims = cursor.fetchone()
    assert found_dims == dims

    def expected(value: Any) -> Any:
        return [expected(v) for v in value] if isinstance(value, list) else token(value)

    assert found == expected(array)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
NAMES = st.sampled_from(("a", "b", "c d", "x.y", "é", "unknown"))
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
RULE = {
    "mask": "json",
    "paths": {
        "a": "keep",
        "b.a": "keep",
        "b.b": {"mask": "token", "domain": "d"},
        r"x\.y[].é": {"mask": "null"},
        "c d[]": "keep",
        "c d[][].a": {"mask": "token", "domain": "d"},
    },
}


def expected_part(value: Any, rules: dict[tuple[str, ...], Any]) -> Any:
    """What may pass, written anew from the rule's words; ... stands for nothing."""
    own = rules.get((), ...)
    if isinstance(value, dict):
        firsts = {path[0] for path in rules if path and path[0] != "[]"}
        if not firsts:
            return ...
        parts = {n: expected_part(value[n], below(rules, n)) for n in value if n in firsts}
        return {n: part for n, part in parts.items() if part is not ...}
    if isinstance(value, list):
        if not any(path and path[0] == "[]" for path in rules):
            return ...
        items = [expected_part(v, below(rules, "[]")) for v in value]
        return [item for item in items if item is not ...]
    if own is ... or own == "keep" or value is None:
        return own if own is ... else value
    if own["mask"] == "null":
        return None
    written = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    return token(written or (value if isinstance(value, str) else json.dumps(value)))


def below(rules: dict[tuple[str, ...], Any], step: str) -> dict[tuple[str, ...], Any]:
    return {path[1:]: rule for path, rule in rules.items() if path and path[0] == step}


STEPS: dict[tuple[str, ...], Any] = {
    ("a",): "keep",
    ("b", "a"): "keep",
    ("b", "b"): {"mask": "token"},
    ("x.y", "[]", "é"): {"mask": "null"},
    ("c d", "[]"): "keep",
    ("c d", "[]", "[]", "a"): {"mask": "token"},
}


@SETTINGS
@given(document=st.dictionaries(NAMES, DOCUMENTS, max_size=5))
def test_of_a_document_passes_what_the_policy_names_and_nothing_else(
    cursor: Any, document: dict[str, Any]
) -> None:
    text = json.dumps(document, ensure_ascii=False)
    cursor.execute("select %s::jsonb, %s::jsonb = %s::jsonb", (made := masked(RULE, text),) * 3)
    assert cursor.fetchone()[1]
    assert json.loads(made) == expected_part(document, STEPS)
