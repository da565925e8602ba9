"""What is published and what is listed: tables that come, go, and are left out; append-only ones.

Judged by PostgreSQL: production's writes go on, and staging is what production is. Not here: which
tables the script refuses (test_dba_script.py), partitions (test_partitions.py).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import SourceNotPrepared
from analytics_replica.landing.manifest import from_json, last_manifest, to_json
from analytics_replica.postgres.connect import connection
from analytics_replica.source.preflight import POLICY, preflight
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.drift import check_drift
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.servers import Database

COLUMNS: Columns = {"id": "keep", "v": "keep"}
A, B, LOG = (TableName("public", name) for name in ("a", "b", "log"))
OURS = "analytics_replica"


@pytest.fixture
def two(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute(
        "create table a (id int primary key, v text); create table b (id int primary key, v text);"
        "insert into a values (1, 'x'); insert into b values (1, 'x')"
    )
    made = pipeline({"public.a": COLUMNS, "public.b": COLUMNS})
    made.prepare()
    made.capture()
    return made


@pytest.fixture
def log(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A keyless log and a table with a key, beside each other."""
    production.execute(
        "create table a (id int primary key, v text); create table log (id int, v text);"
        "insert into a values (1, 'x'); insert into log values (1, 'x'), (1, 'x')"
    )
    made = pipeline({"public.a": COLUMNS, "public.log": COLUMNS})
    made.append_only = ("public.log",)
    made.prepare()
    return made


def entries(production: Database) -> list[tuple[object, ...]]:
    """All that is written about publications in the catalog, with the transactions that did it."""
    return production.rows("select xmin::text, to_jsonb(r) from pg_publication_rel r order by oid")


def written(table: str, production: Database) -> None:
    production.execute(f"insert into {table} values (7, 'y'), (8, 'z')")
    production.execute(f"update {table} set v = 'changed' where id = 7")
    production.execute(f"delete from {table} where id = 8")


def drifted(made: Pipeline) -> set[TableName]:
    apply_pending(made.settings, SystemClock())
    with connection(made.warehouse.dsn("loader")) as opened:
        verdicts = check_drift(opened, made.settings, made.store)
    return {table for table, verdict in verdicts.items() if verdict.outcome is Outcome.FAIL}


def incomplete(made: Pipeline) -> tuple[TableName, ...]:
    last = last_manifest(made.store)
    assert last is not None
    assert from_json(to_json(last[0]), "again") == last[0]
    return last[0].incomplete


def policy_findings(made: Pipeline) -> dict[str, str]:
    last = last_manifest(made.store)
    answers = preflight(made.settings, last=last[0] if last else None)
    (verdict,) = [answer for answer in answers if answer.about == POLICY]
    return {finding.subject: finding.says for finding in verdict.findings}


# append-only tables


def test_an_append_only_table_is_an_exact_multiset_of_what_was_inserted(log: Pipeline) -> None:
    log.capture()
    log.production.execute("insert into log values (1, 'x'), (2, null), (2, null)")
    log.production.execute("update a set v = 'z'")
    log.capture()
    assert drifted(log) == set()
    assert differences(log.production, log.warehouse, log.settings) == {}


def test_updates_and_deletes_of_an_append_only_table_go_on_and_are_not_seen(log: Pipeline) -> None:
    log.capture()
    written("log", log.production)
    log.capture()
    events = log.landed("public.log", "_replica_op, id, v")
    assert events[2:] == [("i", 7, "y"), ("i", 8, "z")]


def test_a_truncate_of_an_append_only_table_is_seen(log: Pipeline) -> None:
    log.capture()
    log.production.execute("truncate log, a; insert into log values (3, 'new')")
    log.capture()
    assert drifted(log) == set()
    assert differences(log.production, log.warehouse, log.settings) == {}


def test_an_append_only_table_with_a_key_and_identity_nothing_keeps_every_insert(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(
        "create table log (id int primary key, v text); alter table log replica identity nothing;"
        "insert into log values (1, 'first')"
    )
    made = pipeline({"public.log": COLUMNS})
    made.append_only = ("public.log",)
    made.prepare()
    made.capture()
    production.execute("delete from log; insert into log values (1, 'second')")
    made.capture()
    assert made.landed("public.log", "_replica_op, v") == [("i", "first"), ("i", "second")]
    apply_pending(made.settings, SystemClock())
    rows = made.warehouse.rows("select id, v from staging.log order by v")
    assert rows == [(1, "first"), (1, "second")]


def test_a_table_that_becomes_append_only_has_a_hole_until_it_is_copied(two: Pipeline) -> None:
    two.append_only = ("public.b",)
    assert "belongs into" in policy_findings(two)["public.b"]
    two.prepare()
    two.production.execute("update b set v = 'not seen'")
    two.capture()
    assert (incomplete(two), drifted(two)) == ((B,), {B})
    two.capture(first_copy=True)
    assert (incomplete(two), drifted(two)) == ((), set())
    assert differences(two.production, two.warehouse, two.settings) == {}


# tables that nobody listed, and listed tables that are missing


def test_a_published_table_that_nobody_listed_is_left_out_and_told(two: Pipeline) -> None:
    two.production.execute(
        "create table extra (id int primary key); "
        "alter publication analytics_replica add table extra"
    )
    two.production.execute("insert into extra values (1); insert into a values (2, 'y')")
    report = two.capture()
    assert report.unlisted == (TableName("public", "extra"),)
    assert incomplete(two) == ()
    assert "does not list it" in policy_findings(two)["public.extra"]
    assert drifted(two) == set()
    assert differences(two.production, two.warehouse, two.settings) == {}


@pytest.mark.parametrize(
    "lost",
    [
        "alter publication analytics_replica drop table b",
        "alter table b rename to c",
        "drop table b",
        "alter table b drop column v cascade",
        "alter table b set schema elsewhere",
        pytest.param(
            "alter publication analytics_replica set table a (id, v), b (id, v) where (id < 5)",
            id="row filter",
        ),
        "alter publication analytics_replica set table a (id, v), b (id)",
        "create table child () inherits (b)",
    ],
)
def test_a_listed_table_that_is_not_wholly_published_stops_alone(two: Pipeline, lost: str) -> None:
    two.production.execute("create schema elsewhere")
    two.production.execute(lost)
    two.production.execute("insert into a values (2, 'y')")
    report = two.capture()
    assert set(report.incomplete) == {B}
    assert two.landed("public.a", "id")[-1] == (2,)
    assert drifted(two) == {B}
    assert policy_findings(two)["public.b"] == report.incomplete[B]
    assert "resync public.b" in policy_findings(two)["next"]


def test_a_hole_stays_known_when_the_table_is_back_and_ends_with_its_copy(two: Pipeline) -> None:
    two.production.execute("alter publication analytics_replica drop table b")
    two.production.execute("insert into b values (2, 'lost')")
    two.capture()
    two.prepare()
    two.production.execute("insert into b values (3, 'seen')")
    two.capture()
    assert (incomplete(two), drifted(two)) == ((B,), {B})
    two.capture(first_copy=True)
    assert (incomplete(two), drifted(two)) == ((), set())
    assert differences(two.production, two.warehouse, two.settings) == {}


@pytest.mark.parametrize(
    ("out", "back"),
    [
        ("drop table b", "add table b (id, v)"),
        ("set table a (id, v)", "set table a (id, v), b (id, v)"),
        ("set table a (id, v), b (id, v) where (id = 0)", None),
        ("set (publish = 'insert')", None),
        ("set (publish_via_partition_root = false)", None),
    ],
)
def test_a_table_that_was_out_between_two_captures_is_noticed(
    two: Pipeline, out: str, back: str | None
) -> None:
    two.production.execute(f"alter publication {OURS} {out}")
    two.production.execute("insert into b values (2, 'lost'); delete from b where id = 2")
    if back is not None:
        two.production.execute(f"alter publication {OURS} {back}")
    two.prepare()
    two.capture()
    assert B in incomplete(two)
    assert B in drifted(two)


def test_the_script_again_changes_nothing_and_makes_no_hole(log: Pipeline) -> None:
    log.capture()
    before = entries(log.production)
    log.prepare()
    assert entries(log.production) == before
    log.capture()
    assert incomplete(log) == ()


def test_the_script_with_other_columns_makes_no_hole(two: Pipeline) -> None:
    for columns in ({"id": "keep", "v": "drop"}, COLUMNS, {"id": "keep", "v": "drop"}):
        two.tables["public.b"] = columns
        two.prepare()
    two.production.execute("insert into b values (2, 'y')")
    two.capture()
    assert incomplete(two) == ()
    assert two.landed("public.b", "id")[-1] == (2,)


def test_a_publication_without_any_listed_table_stops_capture(two: Pipeline) -> None:
    two.production.execute("alter publication analytics_replica drop table a, b")
    with pytest.raises(SourceNotPrepared, match=r"public\.a, which replica\.yaml lists"):
        two.capture()


def test_a_first_copy_wants_every_table(two: Pipeline) -> None:
    two.production.execute("alter publication analytics_replica drop table b")
    with pytest.raises(SourceNotPrepared, match=r"public\.b, which replica\.yaml lists"):
        two.capture(first_copy=True)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("create publication analytics_replica for all tables", "FOR ALL TABLES"),
        (
            "create publication analytics_replica for tables in schema public",
            "FOR TABLES IN SCHEMA",
        ),
        (
            "create publication analytics_replica for table a with (publish = 'insert')",
            "leaves out",
        ),
        (
            """
            create publication analytics_replica for table a;
            create publication analytics_replica_inserts for table a
            """,
            "something else than inserts",
        ),
    ],
)
def test_a_publication_of_another_kind_is_refused(two: Pipeline, made: str, says: str) -> None:
    two.production.execute("drop publication analytics_replica")
    two.production.execute(made)
    with pytest.raises(SourceNotPrepared, match=says):
        two.capture()


@pytest.mark.parametrize(
    "altered",
    [
        "alter table b replica identity nothing",
        "alter table b drop constraint b_pkey",
        "alter table b replica identity full",
    ],
)
def test_a_table_whose_updates_fail_on_production_is_told(two: Pipeline, altered: str) -> None:
    two.production.execute(altered)
    assert "cannot be updated" in policy_findings(two)["public.b"]
