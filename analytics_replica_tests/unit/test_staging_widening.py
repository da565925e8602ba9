"""Which changes of a type lose nothing. Judged by cases; PostgreSQL spells the types so."""

from __future__ import annotations

import pytest

from analytics_replica.staging.widening import widens

WIDER = [
    ("smallint", "bigint"),
    ("integer", "integer"),
    ("real", "double precision"),
    ("character varying(10)", "character varying(20)"),
    ("character varying(10)", "character varying"),
    ("character varying(10)", "text"),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric(12,4)"),
    ("numeric(10,2)", "numeric"),
    ("timestamp(3) without time zone", "timestamp without time zone"),
    ("time(0) with time zone", "time(3) with time zone"),
]

NARROWER = [
    ("bigint", "integer"),
    ("integer", "real"),
    ("integer", "numeric"),
    ("double precision", "real"),
    ("text", "character varying(10)"),
    ("character varying(20)", "character varying(10)"),
    ("character varying", "character varying(10)"),
    ("character(3)", "character(5)"),
    ("numeric(10,2)", "numeric(10,4)"),
    ("numeric(10,2)", "numeric(12,1)"),
    ("numeric", "numeric(38,10)"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("timestamp without time zone", "timestamp(3) without time zone"),
    ("integer[]", "bigint[]"),
    ("jsonb", "text"),
    ('"char"', "text"),
]


@pytest.mark.parametrize(("old", "new"), WIDER)
def test_a_type_that_holds_all_that_the_old_one_held_widens_it(old: str, new: str) -> None:
    assert widens(old, new)


@pytest.mark.parametrize(("old", "new"), NARROWER)
def test_a_type_that_could_lose_or_reprint_a_value_does_not_widen(old: str, new: str) -> None:
    assert not widens(old, new)
