"""Positions in the log, names of tables, quoting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres import identifiers as sql
from analytics_replica.source.slot import end_of_record
from analytics_replica_tests.support.servers import Database

NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: len(name.encode()) <= 63)


@given(st.integers(0, 2**64 - 1))
def test_a_position_prints_as_it_parses(value: int) -> None:
    assert Lsn.parse(str(Lsn(value))) == Lsn(value)


def test_positions_are_ordered_as_numbers_not_as_texts() -> None:
    assert Lsn.parse("9/0") < Lsn.parse("10/0")
    assert Lsn.parse("0/20") - Lsn.parse("0/10") == 16


@pytest.mark.parametrize("text", ["", "1", "0/", "0/1/2", "x/1", "0/123456789"])
def test_what_is_not_a_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an LSN"):
        Lsn.parse(text)


@given(NAMES, NAMES)
def test_a_table_prints_as_it_parses(schema: str, name: str) -> None:
    table = TableName(schema, name)
    assert TableName.parse(str(table)) == table


@pytest.mark.parametrize("text", ["orders", "a.b.c", "a.", ".b", 'a."b', ""])
def test_what_is_not_schema_and_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"schema\.name"):
        TableName.parse(text)


@pytest.mark.parametrize(
    "awkward",
    ['say "hi"', "Straße", "select", " lead", "a;drop table x", "日本", "x" * 63, "a\\b", "%s{}"],
)
def test_every_legal_name_survives_quoting_in_a_real_server(
    warehouse: Database, awkward: str
) -> None:
    warehouse.execute(
        sql.compose("create table {table} (x int)", table=sql.name(awkward)).text.replace(
            "%", "%%"
        ),
        (),
    )
    found = warehouse.rows(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
    )
    assert found == [(awkward,)]


@pytest.mark.parametrize("value", ["it's", "back\\slash", "Ünï", "a\nb", "%s", "{x}"])
def test_a_literal_is_the_value_in_a_real_server(warehouse: Database, value: str) -> None:
    assert warehouse.scalar(f"select {sql.literal(value).text.replace('%', '%%')}", ()) == value


@pytest.mark.parametrize("impossible", ["", "x" * 64, "ü" * 32, "a\0b"])
def test_a_name_that_postgres_would_cut_or_refuse_is_refused(impossible: str) -> None:
    with pytest.raises(ValueError, match="SQL name"):
        sql.name(impossible)


def test_only_composed_sql_fits_a_template() -> None:
    with pytest.raises(TypeError):
        sql.compose("select {x}", x="1; drop table y")  # type: ignore[arg-type] # that is the test
    with pytest.raises(KeyError):
        sql.compose("select {x}", y=sql.number(1))


@pytest.mark.parametrize(
    ("insert_position", "end"),
    [
        ("0/1000028", "0/1000000"),  # behind the long header of a segment's first page
        ("0/1002018", "0/1002000"),  # behind the short header of any other page
        ("0/1002028", "0/1002028"),  # a record that ends 16 bytes into a page
        ("0/1001FF8", "0/1001FF8"),
    ],
)
def test_the_end_of_the_log_is_never_behind_the_header_of_an_empty_page(
    insert_position: str, end: str
) -> None:
    assert end_of_record(Lsn.parse(insert_position), 16 * 2**20) == Lsn.parse(end)
