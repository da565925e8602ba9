"""How columns travel to the warehouse: which go straight into staging, which as text."""

from __future__ import annotations

import pytest

from analytics_replica.postgres.identifiers import name, type_name
from analytics_replica.staging.encoding import encoding_of

STRAIGHT = [
    ("bigint", "BIGINT"),
    ("bigint", "INTEGER"),
    ("numeric(10,2)", "DECIMAL(10,2)"),
    ("numeric(12,4)", "DECIMAL(10,2)"),
    ("character varying(5)", "VARCHAR"),
    ("timestamp(3) without time zone", "TIMESTAMP"),
    ("uuid", "VARCHAR"),
    ("jsonb", "VARCHAR"),
]

AS_TEXT = [
    ("numeric", "VARCHAR"),
    ("numeric(10,2)", "VARCHAR"),
    ("date", "VARCHAR"),
    ("inet", "VARCHAR"),
    ("integer[]", "VARCHAR"),
    ("oid", "BIGINT"),
    ("integer", "BIGINT"),
]


@pytest.mark.parametrize(("staging_type", "landed_as"), STRAIGHT)
def test_a_type_that_copy_receives_goes_straight_into_staging(
    staging_type: str, landed_as: str
) -> None:
    assert encoding_of(staging_type, landed_as).direct


@pytest.mark.parametrize(("staging_type", "landed_as"), AS_TEXT)
def test_any_other_type_goes_as_text_and_is_cast(staging_type: str, landed_as: str) -> None:
    encoding = encoding_of(staging_type, landed_as)
    assert not encoding.direct
    assert encoding.receive(name("c0")).text == f'"c0"::{staging_type}'


@pytest.mark.parametrize(
    "printed", ["text; drop table x", "shop.mood", '"My Type"', "numeric(10,2) --", "int,int", ""]
)
def test_what_is_not_a_type_of_postgresqls_own_is_never_sent_as_one(printed: str) -> None:
    with pytest.raises(ValueError, match="not a type"):
        type_name(printed)
