"""The script for the DBA never makes a write of production fail, judged by production's writes."""

from __future__ import annotations

from collections.abc import Callable

import psycopg2
import pytest

from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.servers import Database

BOTH: Columns = {"id": "keep", "v": "keep"}
WITHOUT_V: Columns = {"id": "keep", "v": "drop"}


def written_to(production: Database, table: str) -> None:
    production.execute(f"insert into {table} values (1, 'a')")
    production.execute(f"update {table} set v = 'b'")
    production.execute(f"delete from {table}")


def published(production: Database) -> list[tuple[str, str]]:
    return production.rows(
        "select tablename::text, array_to_string(attnames, ',') from pg_publication_tables"
    )


@pytest.mark.parametrize(
    ("declared", "rules", "columns"),
    [
        ("create table t (id int primary key, v text)", BOTH, "id,v"),
        ("create table t (id int primary key, v text)", WITHOUT_V, "id"),
        ("create table t (id int, v text); alter table t replica identity full", BOTH, "id,v"),
        (
            """
            create table t (id int not null, v text not null); create unique index u on t (v);
            alter table t replica identity using index u
            """,
            BOTH,
            "id,v",
        ),
        (
            """
            create table t (id int primary key, v text) partition by range (id);
            create table t1 partition of t default
            """,
            WITHOUT_V,
            "id",
        ),
    ],
)
def test_every_write_still_works_after_the_script(
    production: Database,
    pipeline: Callable[..., Pipeline],
    declared: str,
    rules: Columns,
    columns: str,
) -> None:
    production.execute(declared)
    made = pipeline({"public.t": rules})
    made.prepare()
    made.prepare()
    assert published(production) == [("t", columns)]
    written_to(production, "t")


@pytest.mark.parametrize(
    ("declared", "rules", "says"),
    [
        ("select 1", BOTH, "does not exist here"),
        ("create table t (id int, v text)", BOTH, "has no primary key"),
        ("create table t (id int primary key deferrable, v text)", BOTH, "has no primary key"),
        (
            "create table t (id int primary key, v text); alter table t replica identity nothing",
            BOTH,
            "has no primary key",
        ),
        ("create table t (id int, v text primary key)", WITHOUT_V, "without a column of its key"),
        (
            "create table t (id int, v text); alter table t replica identity full",
            WITHOUT_V,
            "REPLICA IDENTITY FULL",
        ),
        (
            """
            create table t (id int primary key, v text) partition by range (id);
            create table t1 partition of t default; alter table t1 replica identity nothing
            """,
            BOTH,
            "has no primary key",
        ),
    ],
)
def test_a_table_that_could_not_take_writes_any_more_is_refused_and_nothing_changes(
    production: Database,
    pipeline: Callable[..., Pipeline],
    declared: str,
    rules: Columns,
    says: str,
) -> None:
    production.execute(declared)
    with pytest.raises(psycopg2.errors.RaiseException, match=says):
        pipeline({"public.t": rules}).prepare()
    assert published(production) == []
    if "create table" in declared:
        written_to(production, "t")


def test_names_of_any_legal_form_are_published(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    schema, table, column = "My $tables$ Schema", "t'a\"b\\c", "Straße (%s)"
    production.execute(f'create schema "{schema}"')
    quoted = f'"{schema}"."{table.replace(chr(34), chr(34) * 2)}"'
    with production.session() as cursor:
        cursor.execute(f'create table {quoted} (id int primary key, "{column}" text)')
    made = pipeline({quoted: {"id": "keep", column: "keep"}})
    made.prepare()
    assert published(production) == [(table, f"id,{column}")]
    made.capture()
    with production.session() as cursor:
        cursor.execute(f"insert into {quoted} values (1, 'x')")
    made.capture()
    assert [row[0] for row in made.landed(quoted, "id")] == [1]


def test_a_full_identity_table_without_a_key_arrives_with_its_updates_and_deletes(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create table t (id int, v text); alter table t replica identity full")
    made = pipeline({"public.t": BOTH})
    made.prepare()
    made.capture()
    production.execute("insert into t values (1, 'a'), (1, 'a')")
    production.execute("update t set v = 'b' where ctid = (select min(ctid) from t)")
    made.capture()
    assert made.landed("public.t", "_replica_op, id, v") == [
        ("i", 1, "a"),
        ("i", 1, "a"),
        ("d", 1, "a"),
        ("i", 1, "b"),
    ]
