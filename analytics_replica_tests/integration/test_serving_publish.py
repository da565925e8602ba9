"""What publishing promises readers about names, types and wholeness, on a real server."""

from __future__ import annotations

import psycopg2.errors
import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import PublishRefused
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.editions import Edition, published_edition
from analytics_replica.serving.history import Action, publications
from analytics_replica.serving.publish import rollback
from analytics_replica.serving.views import ViewSpec
from analytics_replica_tests.integration.test_serving_editions import (
    MONDAY,
    ORDERS,
    PEOPLE,
    build,
    contract,
    give,
    loader_connection,
    night_of,
)
from analytics_replica_tests.support.servers import Database

loader = loader_connection


def test_the_first_publication_gives_readers_both_views_at_once(
    warehouse: Database, loader: Connection
) -> None:
    assert published_edition(loader) is None
    edition = build(loader, "monday")
    given = give(loader, edition)
    assert (edition, given.action, given.number) == (Edition.A, Action.PUBLISH, 1)
    assert given.published_at == MONDAY.now()
    assert given.models.keys() == {"people", "orders"}
    assert published_edition(loader) is Edition.A
    assert night_of(warehouse) == {("monday", "monday")}


def test_oid_grants_comments_and_dependents_survive_every_swap(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    warehouse.execute("create view public.mine as select count(*) from analytics.people")
    before = [row[:3] + row[4:] for row in contract(warehouse)[:2]]
    for night in ("tuesday", "wednesday", "thursday"):
        give(loader, build(loader, night))
    assert [row[:3] + row[4:] for row in contract(warehouse)[:2]] == before
    assert before[1][3] == "One row per person."
    assert before[1][4][1] == "Where they live."
    assert warehouse.scalar("select * from public.mine") == 3


def test_publishing_again_what_is_published_changes_nothing(
    warehouse: Database, loader: Connection
) -> None:
    edition = build(loader, "monday")
    first = give(loader, edition)
    before = contract(warehouse)
    assert give(loader, edition, reason="again") == first
    assert contract(warehouse) == before


def test_an_added_column_comes_last_wherever_the_contract_has_it(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    warehouse.execute(f"alter table {edition}.people add column country text default 'NO'")
    give(loader, edition, ViewSpec("people", ("person_id", "country", "city")), ORDERS)
    columns = warehouse.rows(
        "select column_name from information_schema.columns "
        "where table_name = 'people' and table_schema = 'analytics' order by ordinal_position"
    )
    assert columns == [("person_id",), ("city",), ("country",)]


@pytest.mark.parametrize(
    ("spoil", "views", "says"),
    [
        ("drop table {}.orders", (PEOPLE, ORDERS), "the table of orders was not built"),
        (
            "alter table {}.people rename column city to town",
            (PEOPLE, ORDERS),
            "people.city is in the contract, but was not built",
        ),
        (
            "alter table {}.people drop column city",
            (ViewSpec("people", ("person_id",)), ORDERS),
            "people.city would be removed",
        ),
        (
            "alter table {}.people alter person_id type bigint",
            (PEOPLE, ORDERS),
            "people.person_id would change from integer to bigint",
        ),
        ("select 1", (PEOPLE,), "orders is published, but gold has no such model"),
    ],
)
def test_what_would_break_a_reader_is_refused_and_leaves_everything_as_it_was(
    warehouse: Database, loader: Connection, spoil: str, views: tuple[ViewSpec, ...], says: str
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    warehouse.execute(spoil.format(edition))
    before = contract(warehouse)
    with pytest.raises(PublishRefused, match=says):
        give(loader, edition, *views)
    assert contract(warehouse) == before
    assert night_of(warehouse) == {("monday", "monday")}


def test_a_failure_between_two_views_gives_readers_neither(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    # As its owner the loader may replace one view, but no longer the other.
    warehouse.execute("alter view analytics.orders owner to postgres")
    before = contract(warehouse)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        give(loader, edition)
    loader.commit()
    assert contract(warehouse) == before
    assert published_edition(loader) is Edition.A


def test_an_edition_of_two_nights_is_refused(warehouse: Database, loader: Connection) -> None:
    give(loader, build(loader, "monday"))
    give(loader, build(loader, "tuesday"))
    warehouse.execute(
        """
        drop table gold_a.people;
        create table gold_a.people as select 1 as person_id, 'wednesday'::text as city;
        alter table gold_a.people owner to loader;
        """
    )
    with pytest.raises(PublishRefused, match="orders is still what was published on 2026-11-16"):
        give(loader, Edition.A)
    assert night_of(warehouse) == {("tuesday", "tuesday")}


def test_rollback_gives_back_the_last_edition_with_its_own_position(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"), position=Lsn.parse("0/10"))
    give(loader, build(loader, "tuesday"), position=Lsn.parse("0/20"))
    back = rollback(loader, actor="ann", reason="wrong prices", clock=MONDAY)
    assert night_of(warehouse) == {("monday", "monday")}
    assert (back.action, back.position) == (Action.ROLLBACK, Lsn.parse("0/10"))
    assert [(p.edition, p.actor) for p in publications(loader)] == [
        (Edition.A, "ann"),
        (Edition.B, "test"),
        (Edition.A, "test"),
    ]
    rollback(loader, actor="ann", reason="they were right", clock=MONDAY)
    assert night_of(warehouse) == {("tuesday", "tuesday")}


def test_rollback_shows_a_younger_column_as_null_and_forward_again_fills_it(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    warehouse.execute(f"alter table {edition}.people add column country text default 'NO'")
    wider = ViewSpec("people", ("person_id", "city", "country"))
    give(loader, edition, wider, ORDERS)
    rollback(loader, actor="ann", reason="test", clock=MONDAY)
    assert warehouse.rows("select distinct city, country from analytics.people") == [
        ("monday", None)
    ]
    rollback(loader, actor="ann", reason="it was right", clock=MONDAY)
    assert warehouse.rows("select distinct city, country from analytics.people") == [
        ("tuesday", "NO")
    ]


def test_rollback_is_refused_without_an_earlier_edition_or_once_it_was_rebuilt(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    with pytest.raises(PublishRefused, match="no earlier edition"):
        rollback(loader, actor="ann", reason="test", clock=MONDAY)
    give(loader, build(loader, "tuesday"))
    build(loader, "wednesday")
    before = contract(warehouse)
    with pytest.raises(PublishRefused, match="orders, people was rebuilt"):
        rollback(loader, actor="ann", reason="test", clock=MONDAY)
    assert contract(warehouse) == before
