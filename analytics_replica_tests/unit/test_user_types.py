"""Names of types that staging makes, and what may be told of definitions.

Oracle: the rules of docs/reference/types.md, written out. That PostgreSQL prints the same names is
judged in integration/test_staging_types.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.definitions import (
    ColumnDefinition,
    Definitions,
    Index,
    IndexColumn,
    Label,
    TableDefinition,
    TypeKind,
    UserType,
)
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.definitions import joined
from analytics_replica.postgres.identifiers import type_name, user_type
from analytics_replica.staging.user_types import shortened

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def enum(*labels: tuple[int, str]) -> Definitions:
    made = tuple(Label(oid, text) for oid, text in labels)
    return Definitions(types=(UserType(20000, TableName("s", "e"), TypeKind.ENUM, made),))


@given(NAMES)
def test_a_name_of_any_form_becomes_a_legal_one_and_its_type_can_be_written(name: str) -> None:
    short = shortened(f"shop.{name}")
    assert len(short.encode()) <= 63
    assert short == f"shop.{name}" or "~" in short
    spelled = user_type(TableName("staging_types", short))
    assert type_name(spelled).text == spelled
    assert type_name(f"{spelled}[]").text == f"{spelled}[]"


@pytest.mark.parametrize(
    "printed",
    ['a."b"; drop table t', 'a."b""', "a.b", '"a"."b"."c"', 'a."b" c', 'a."b"[]x', 'A."b"', '."b"'],
)  # fmt: skip
def test_nothing_else_passes_for_a_type(printed: str) -> None:
    with pytest.raises(ValueError, match="not a type"):
        type_name(printed)


def test_longer_names_that_begin_alike_stay_apart() -> None:
    assert len({shortened("x" * 80 + end) for end in "ab"}) == 2


def test_a_label_remembers_every_text_that_it_had() -> None:
    first, second, third = enum((1, "a"), (2, "b")), enum((1, "c"), (2, "b")), enum((1, "d"))
    once = joined(second, first, Lsn(16))
    twice = joined(third, once, Lsn(32))
    assert once.types[0].labels[0].former == (("a", "0/10"),)
    assert twice.types[0].labels[0].former == (("a", "0/10"), ("c", "0/20"))
    again = joined(enum((1, "a")), twice, Lsn(48))
    assert again.types[0].labels[0].former == (("c", "0/20"), ("d", "0/30"))


def test_definitions_are_read_back_as_they_were_written() -> None:
    index = Index("i", "btree", (IndexColumn("a", descending=True),), ("b",))
    column = ColumnDefinition("a", 20000, 'said "so"')
    table = TableDefinition(TableName("S", "t"), 7, "ü", (column,), (index,))
    whole = Definitions((table,), enum((1, "x")).types)
    assert Definitions.of_json(whole.to_json()) == whole
