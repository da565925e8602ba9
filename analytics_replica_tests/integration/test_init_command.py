"""`init` on real catalogs: what it refuses, and what it never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica_tests.support.awkward import ROWS, SCHEMA
from analytics_replica_tests.support.commands import call
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def awkward(production: Database) -> Database:
    production.execute(SCHEMA)
    production.execute(ROWS)
    return production


def test_only_the_wanted_schemas_are_listed(awkward: Database, tmp_path: Path) -> None:
    ended = call("init", "--from", awkward.dsn(), "--output", str(tmp_path), "--schema", "crm")
    assert ended.code == 0, ended.err
    text = (tmp_path / "replica.yaml").read_text(encoding="utf-8")
    assert "  crm.customers:" in text
    assert "Sales Dept" not in text


def test_a_schema_that_is_not_there_is_named_with_those_that_are(
    awkward: Database, tmp_path: Path
) -> None:
    ended = call("init", "--from", awkward.dsn(), "--output", str(tmp_path), "--schema", "shop")
    assert ended.code == 20
    assert "schema shop" in ended.err
    assert "Sales Dept, crm" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_that_can_be_captured_gives_no_files(
    production: Database, tmp_path: Path
) -> None:
    production.execute("create table keyless (line text)")
    ended = call("init", "--from", production.dsn(), "--output", str(tmp_path))
    assert ended.code == 20
    assert "None of the 1 tables" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("dsn", "code"), [("postgres//me:geheim@shop/db", 20), ("postgresql://me:geheim@h:1/db", 61)]
)
def test_a_wrong_dsn_is_told_without_its_password(tmp_path: Path, dsn: str, code: int) -> None:
    ended = call("init", "--from", dsn, "--output", str(tmp_path))
    assert ended.code == code, ended.err
    assert "geheim" not in ended.out + ended.err
    assert list(tmp_path.iterdir()) == []


def test_no_row_is_read_and_nothing_is_written_on_the_server(
    awkward: Database, tmp_path: Path
) -> None:
    reads = "select coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0) from pg_stat_user_tables"
    awkward.execute("create role onlooker login")
    try:
        before = awkward.scalar(reads)
        # A role without any right on any table is enough: the catalog is open to everybody.
        ended = call("init", "--from", awkward.dsn("onlooker"), "--output", str(tmp_path))
        assert ended.code == 0, ended.err
        assert awkward.scalar(reads) == before
    finally:
        awkward.execute("drop role onlooker")


def test_what_can_be_generated_is_listed_and_what_production_computes_is_not(
    awkward: Database, tmp_path: Path
) -> None:
    assert call("init", "--from", awkward.dsn(), "--output", str(tmp_path)).code == 0
    text = (tmp_path / "replica.yaml").read_text(encoding="utf-8")
    assert "price: keep" in text
    assert "doubled" not in text
    assert "events_2025" not in text
