"""The script for the DBA never makes a write of production fail, judged by production's writes."""

from __future__ import annotations

from collections.abc import Callable

import psycopg2
import pytest

from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.servers import Database

BOTH: Columns = {"id": "keep", "v": "keep"}
WITHOUT_V: Columns = {"id": "keep", "v": "drop"}
ALL = (BOTH, "id,v")


PARTED = "create table t (id int primary key, v text) partition by range (id)"


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
        (
            """
            create table t (id int primary key, v text,
                g text generated always as (v || '!') stored)
            """,
            BOTH,
            "id,v",
        ),
        (
            """
            create table t (id int not null, v text, unique (id) include (v),
            constraint k primary key (id)); alter table t replica identity using index k
            """,
            BOTH,
            "id,v",
        ),
        ("create table p (id int); create table t (id int primary key, v text) inherits (p)", *ALL),
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
        *(
            (declared + "; create table t1 partition of t default; " + identity, BOTH, says)
            for declared, identity, says in (
                (PARTED, "alter table t replica identity full", "only a primary key"),
                (PARTED, "alter table t1 replica identity using index t1_pkey", "only a primary"),
                (
                    "create table t (id int, v text) partition by range (id)",
                    "alter table t replica identity full; alter table t1 replica identity full",
                    "only a primary key of the whole table",
                ),
            )
        ),
        (
            """
            create table r (id int primary key, v text) partition by range (id);
            create table t partition of r default
            """,
            BOTH,
            "is a partition",
        ),
        (
            "create table t (id int primary key, v text); create table c () inherits (t)",
            BOTH,
            "child tables",
        ),
        ("create unlogged table t (id int primary key, v text)", BOTH, "unlogged"),
        (
            """
            create table t (id int primary key, v text generated always as ('a') stored);
            alter table t alter v drop expression; alter table t add g int
            generated always as (id) virtual
            """,
            {**BOTH, "g": "keep"},
            "column g, which is generated",
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
    if "table t " in declared:
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


@pytest.mark.parametrize("kind", ["stored", "virtual"])
def test_a_full_identity_with_a_generated_column_is_refused_where_its_updates_would_fail(
    production: Database, pipeline: Callable[..., Pipeline], kind: str
) -> None:
    production.execute(
        f"create table t (id int, v text, g text generated always as (v || '!') {kind}); "
        "alter table t replica identity full"
    )
    with pytest.raises(psycopg2.errors.RaiseException, match="FULL and a generated column"):
        pipeline({"public.t": BOTH}).prepare()
    production.execute("create publication by_hand for table t")
    with pytest.raises(psycopg2.errors.InvalidColumnReference, match="cannot update"):
        written_to(production, "t")


@pytest.mark.parametrize(
    "declared",
    [
        "create table t (id int, v text)",
        "create table t (id int, v text); alter table t replica identity full",
        "create table t (id int primary key deferrable, v text)",
        "create table t (id int primary key, v text); alter table t replica identity nothing",
        "create table t (id int, v text primary key)",
        """
        create table t (id int, v text) partition by range (id);
        create table t1 partition of t default
        """,
    ],
)
@pytest.mark.parametrize("rules", [BOTH, WITHOUT_V])
def test_an_append_only_table_never_makes_a_write_of_production_fail(
    production: Database, pipeline: Callable[..., Pipeline], declared: str, rules: Columns
) -> None:
    production.execute(declared)
    made = pipeline({"public.t": rules})
    made.append_only = ("public.t",)
    made.prepare()
    assert published(production) == [("t", "id,v" if rules is BOTH else "id")]
    written_to(production, "t")


@pytest.mark.parametrize("quiet", ["all tables", "tables in schema public"])
def test_a_publication_that_is_there_becomes_one_of_named_tables_or_is_refused(
    production: Database, pipeline: Callable[..., Pipeline], quiet: str
) -> None:
    production.execute(
        "create table t (id int primary key, v text); create table other (id int, v text)"
    )
    production.execute(f"create publication analytics_replica for {quiet}")
    made = pipeline({"public.t": BOTH})
    if quiet == "all tables":
        with pytest.raises(psycopg2.errors.RaiseException, match="FOR ALL TABLES"):
            made.prepare()
        return
    made.prepare()
    assert published(production) == [("t", "id,v")]
    written_to(production, "other")
