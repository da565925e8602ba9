"""The search for leaks against real servers, with a negative proof: one leak, and it is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analytics_replica.demo.leaks import PlantedValues, planted_values, search
from analytics_replica.demo.planted import PERSONAL
from analytics_replica.demo.shop.people import Kind
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.integration.test_demo_shop import filled
from analytics_replica_tests.support.servers import Database, fresh_database, running_server


@pytest.fixture(scope="module")
def shop(server: LocalServer) -> Iterator[Database]:
    with fresh_database(server, "shop") as database:
        yield filled(database)


@pytest.fixture(scope="module")
def planted(shop: Database) -> PlantedValues:
    return planted_values(shop.dsn(), 1_000)


@pytest.fixture(scope="module")
def analytics() -> Iterator[LocalServer]:
    """A server of its own: a search covers every database of a server."""
    with running_server() as started:
        yield started


@pytest.fixture
def masked(analytics: LocalServer, shop: Database) -> Iterator[Database]:
    """The customers as staging holds them: tokens for people, the rest as it is."""
    rows = shop.rows(
        "select id, md5(email) || '@' || split_part(trim(email), '@', 2), md5(full_name), status "
        "from shop.customers"
    )
    with fresh_database(analytics, "warehouse") as database:
        database.execute("create table people (id int, email text, name text, status text)")
        with database.session() as cursor:
            cursor.executemany("insert into people values (%s, %s, %s, %s)", rows)
        yield database


def test_the_sample_is_the_same_every_time_and_holds_every_kind(
    shop: Database, planted: PlantedValues
) -> None:
    assert planted == planted_values(shop.dsn(), 1_000)
    assert min(map(len, (planted.words, planted.emails, planted.phones, planted.cards))) > 200
    assert len(planted_values(shop.dsn(), 10)) < len(planted) / 10


def test_production_itself_is_full_of_them_in_every_personal_table(
    shop: Database, planted: PlantedValues
) -> None:
    report = search([], [shop.dsn()], planted)
    found = {hit.where for hit in report.hits}
    assert {f"{shop.name}: {of}" for of in PERSONAL} <= found
    assert f"{shop.name}: shop.products" not in found
    assert {hit.kind for hit in report.hits} == set(Kind)


def test_masked_tables_pass(masked: Database, planted: PlantedValues) -> None:
    report = search([], [masked.dsn()], planted)
    assert report.hits == ()
    assert report.verdict().outcome is Outcome.PASS
    assert report.rows > masked.scalar("select count(*) from people")


@pytest.mark.parametrize("column", ["'Call ' || phone", "email::bytea::text", "full_name"])
def test_one_leaked_value_among_masked_rows_is_found_and_named_by_table_and_kind(
    masked: Database, shop: Database, planted: PlantedValues, column: str
) -> None:
    leaked = shop.scalar(
        f"select {column} from shop.customers where phone is not null and full_name is not null "
        "order by id offset 100 limit 1"
    )
    masked.execute("update people set status = %s where id = 77", (leaked,))
    verdict = search([], [masked.dsn("postgres")], planted_values(shop.dsn(), 10_000)).verdict()
    assert verdict.outcome is Outcome.FAIL
    assert [finding.subject for finding in verdict.findings] == [f"{masked.name}: public.people"]
    assert leaked not in str(verdict)


def test_a_leak_in_another_database_of_the_server_is_found_too(
    analytics: LocalServer, masked: Database, shop: Database, planted: PlantedValues
) -> None:
    email = shop.scalar("select min(lower(trim(email))) from shop.customers")
    with fresh_database(analytics, "dagster") as other:
        other.execute("create table event_logs (event text)")
        other.execute("insert into event_logs values (%s)", (f"error: <{email}>",))
        report = search([], [masked.dsn()], planted_values(shop.dsn(), 10_000))
        assert [(hit.where, hit.count) for hit in report.hits] == [
            (f"{other.name}: public.event_logs", 1)
        ]


def test_a_table_that_may_not_be_read_makes_the_verdict_uncertain(
    analytics: LocalServer, masked: Database, planted: PlantedValues
) -> None:
    with masked.session() as cursor:
        cursor.execute("drop role if exists curious")
        cursor.execute("create role curious login")
    report = search([], [masked.dsn("curious")], planted)
    assert f"{masked.name}: public.people" in report.unsearched
    assert report.verdict().outcome is Outcome.CANNOT_TELL


def test_deleted_rows_are_still_found_in_the_servers_files(
    analytics: LocalServer, masked: Database, shop: Database, planted: PlantedValues
) -> None:
    note = shop.scalar("select min(notes) from shop.customer_profiles where notes like 'Pass%'")
    assert Kind.REMARK not in {hit.kind for hit in search([analytics.data_dir], [], planted).hits}
    masked.execute("insert into people (name) values (%s)", (note,))
    masked.execute("delete from people where id is null")
    masked.execute("checkpoint")
    assert search([], [masked.dsn()], planted).found == 0
    assert Kind.REMARK in {hit.kind for hit in search([analytics.data_dir], [], planted).hits}
