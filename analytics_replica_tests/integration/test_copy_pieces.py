"""A copy that is read in pieces, by several readers, is every row exactly once."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import CopyFailed
from analytics_replica.landing import initial_copy
from analytics_replica.source.pieces import Piece, divided, pieces_of
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

EVERYTHING = """
create table plain (n int, line text);
insert into plain select n / 2, repeat('x', 100) from generate_series(1, 3000) n;
delete from plain where n % 3 = 0;
create table parts (n int, on_day date) partition by range (on_day);
create table parts_old partition of parts for values from ('2020-01-01') to ('2021-01-01');
create table parts_new (on_day date, gone int, n int);
alter table parts_new drop column gone;
alter table parts attach partition parts_new default;
insert into parts select n, date '2020-01-01' + n from generate_series(1, 1500) n;
create table unpartitioned (n int) partition by hash (n);
create table parent (n int);
create table child (extra int) inherits (parent);
insert into parent values (1);
insert into child values (2, 3);
create table empty (n int)
"""
"""An ordinary table with holes, partitions in two shapes, none, inheritance, an empty table."""

T, U = TableName("public", "t"), TableName("public", "u")


def test_pieces_cover_every_page_once_and_their_ordinals_do_not_meet() -> None:
    pieces = list(divided([(T, T, 25), (U, U, 0), (U, T, 10)], 8192, 10))
    assert [(p.first_page, p.end_page, p.pages) for p in pieces] == [
        (0, 10, 10),
        (10, 20, 10),
        (20, None, 5),
        (0, None, 0),
        (0, None, 10),
    ]
    most_rows_of_a_page = 291  # MaxHeapTuplesPerPage of 8 kB pages
    for one, after in itertools.pairwise(pieces):
        assert one.first_ordinal + one.pages * most_rows_of_a_page <= after.first_ordinal


def test_a_copy_whose_rows_cannot_be_numbered_is_refused() -> None:
    with pytest.raises(CopyFailed, match=r"too large at public\.t"):
        list(divided([(T, T, 2**32)], 8192, 2**14))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    """Pieces of two pages, so that a small table has many; those that were made."""
    made: list[Piece] = []

    def cut(connection: object, tables: object) -> tuple[Piece, ...]:
        pieces = pieces_of(connection, tables, 2 * 8192)  # type: ignore[arg-type]
        made.extend(pieces)
        return pieces

    monkeypatch.setattr(initial_copy, "pieces_of", cut)
    return made


def test_every_row_is_copied_once_whatever_holds_it(
    production: Database, pipeline: Callable[..., Pipeline], small_pieces: list[Piece]
) -> None:
    production.execute(EVERYTHING)
    columns = {"plain": ["n", "line"], "parts": ["n", "on_day"], "child": ["n", "extra"]}
    names = ("plain", "parts", "unpartitioned", "child", "empty")
    for table in (*names, "parts_old", "parts_new"):
        production.execute(f"alter table {table} replica identity full")
    made = pipeline(
        {f"public.{t}": dict.fromkeys(columns.get(t, ["n"]), "keep") for t in names},
        **{"source.copy_workers": 3},
    )
    made.append_only = ("public.parts", "public.unpartitioned")
    made.prepare()
    reported: list[tuple[str, int, int | None]] = []
    made.capture(progress=lambda *report: reported.append(report))
    assert len(small_pieces) > 30
    for table in names:
        listed = ", ".join(columns.get(table, ["n"]))
        expected = production.rows(f"select {listed} from {table}")
        assert sorted(made.landed(f"public.{table}", listed)) == sorted(expected)
    ordinals = [o for t in names for (o,) in made.landed(f"public.{t}", "_replica_ordinal")]
    assert len(ordinals) == len(set(ordinals))
    pages = sum(piece.pages for piece in small_pieces)
    assert ("copy, pages", pages, pages) in reported
    assert ("copy, rows", len(ordinals), None) in reported
