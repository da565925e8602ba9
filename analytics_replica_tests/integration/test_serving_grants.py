"""The rights of the roles, found by trying them on a real server."""

from __future__ import annotations

import psycopg2.errors
import pytest

from analytics_replica.domain.verdicts import Outcome
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.grants import apply_grants, prove_analyst
from analytics_replica_tests.integration.test_serving_editions import (
    build,
    give,
    loader_connection,
)
from analytics_replica_tests.support.servers import Database

loader = loader_connection


@pytest.fixture(name="served")
def served_warehouse(warehouse: Database, loader: Connection) -> Database:
    """A warehouse with staging, two published nights, and grants."""
    with warehouse.session("loader") as cursor:
        cursor.execute("create schema staging")
        cursor.execute("create table staging.customers as select 1 as id")
    assert apply_grants(loader).passed
    give(loader, build(loader, "monday"))
    give(loader, build(loader, "tuesday"))
    with warehouse.session("loader") as cursor:
        cursor.execute("create table staging.orders as select 1 as id")
    return warehouse


@pytest.mark.parametrize(
    "statement",
    [
        "select * from staging.customers",
        "select * from staging.orders",
        "select * from gold_a.people",
        "select * from gold_b.people",
        "select * from serving.history",
        "insert into analytics.people values (9, 'x')",
        "delete from analytics.people",
        "create table analytics.mine (id int)",
        "create table gold_a.mine (id int)",
        "create schema mine",
        "create or replace view analytics.people as select 1 as person_id, ''::text as city",
    ],
)
def test_the_analyst_is_refused(served: Database, statement: str) -> None:
    with (
        served.session("analyst") as cursor,
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
    ):
        cursor.execute(statement)


def test_the_analyst_reads_every_published_view(served: Database, loader: Connection) -> None:
    with served.session("analyst") as cursor:
        cursor.execute("select count(*) from analytics.people, analytics.orders")
        assert cursor.fetchone() == (15,)
    assert prove_analyst(loader).passed


@pytest.mark.parametrize(
    "relation",
    [
        "staging.customers",
        "staging.orders",
        "gold_a.people",
        "gold_b.orders",
        "analytics.people",
    ],
)
def test_the_engineer_reads_every_layer_also_what_came_after_the_grants(
    served: Database, relation: str
) -> None:
    with served.session("analytics_engineer") as cursor:
        cursor.execute(f"select count(*) from {relation}")


def test_rights_that_somebody_else_gave_the_analyst_are_seen_and_taken_back(
    served: Database, loader: Connection
) -> None:
    served.execute("grant usage on schema gold_a to analyst")
    served.execute("grant select on gold_a.people to analyst")
    verdict = prove_analyst(loader)
    assert verdict.outcome is Outcome.FAIL
    assert [str(f) for f in verdict.findings] == ["gold_a.people: is open to analyst"]
    assert apply_grants(loader).passed
    assert prove_analyst(loader).passed


def test_rights_through_public_count_too(served: Database, loader: Connection) -> None:
    served.execute("create table public.secrets (id int)")
    assert prove_analyst(loader).passed
    served.execute("grant select on public.secrets to public")
    verdict = prove_analyst(loader)
    assert [str(f) for f in verdict.findings] == ["public.secrets: is open to analyst"]


def test_a_view_that_the_analyst_cannot_read_is_found(served: Database, loader: Connection) -> None:
    served.execute("revoke select on analytics.people from analyst")
    verdict = prove_analyst(loader)
    assert [str(f) for f in verdict.findings] == ["analytics.people: is closed to analyst"]


def test_a_missing_role_is_named_and_the_others_get_their_rights(
    served: Database, loader: Connection
) -> None:
    verdict = apply_grants(loader, analyst="nobody_yet")
    assert verdict.outcome is Outcome.FAIL
    assert [f.subject for f in verdict.findings] == ["nobody_yet"]
    assert prove_analyst(loader, analyst="nobody_yet").outcome is Outcome.CANNOT_TELL
    with served.session("analytics_engineer") as cursor:
        cursor.execute("select count(*) from staging.customers")


def test_a_missing_staging_schema_is_named(loader: Connection) -> None:
    verdict = apply_grants(loader)
    assert [f.subject for f in verdict.findings] == ["staging"]
