"""Publishing an edition and going back, on a real server, as the role that owns the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from analytics_replica.domain.clock import FixedClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import AlreadyRunning, PublishRefused
from analytics_replica.postgres.connect import Connection, connect
from analytics_replica.serving.editions import (
    Edition,
    build_edition,
    ensure_serving_schema,
    published_edition,
)
from analytics_replica.serving.grants import apply_grants
from analytics_replica.serving.history import Action, Publication, publications
from analytics_replica.serving.publish import publish, rollback
from analytics_replica.serving.readers import Patience
from analytics_replica.serving.views import ViewSpec
from analytics_replica_tests.support.servers import Database

MONDAY = FixedClock(datetime(2026, 11, 16, 3, 40, tzinfo=UTC))

PEOPLE = ViewSpec(
    "people",
    ("person_id", "city"),
    description="One row per person.",
    column_descriptions={"city": "Where they live."},
)
ORDERS = ViewSpec("orders", ("order_id", "night"))

IMPATIENT = Patience(snapshots=timedelta(milliseconds=200), swap=timedelta(milliseconds=200))


@pytest.fixture
def loader(warehouse: Database) -> Iterator[Connection]:
    conn = connect(warehouse.dsn("loader"))
    ensure_serving_schema(conn)
    apply_grants(conn)
    yield conn
    conn.close()


def build(conn: Connection, night: str) -> Edition:
    """Builds both models anew into the edition that nobody reads, as dbt does."""
    edition = build_edition(conn)
    with conn.cursor() as cursor:
        cursor.execute(
            f"""
            drop table if exists {edition}.people, {edition}.orders cascade;
            create table {edition}.people as
                select n as person_id, '{night}'::text as city from generate_series(1, 3) n;
            create table {edition}.orders as
                select n as order_id, '{night}'::text as night from generate_series(1, 5) n;
            """
        )
    conn.commit()
    return edition


def give(conn: Connection, edition: Edition, *views: ViewSpec, **options: Any) -> Publication:
    """Publishes with what these tests do not look at."""
    arguments: dict[str, Any] = {
        "position": Lsn.parse("0/10"),
        "actor": "test",
        "reason": "nightly",
        "clock": MONDAY,
        "checks": {"passed": 2},
        **options,
    }
    return publish(conn, edition, views or (PEOPLE, ORDERS), **arguments)


def night_of(warehouse: Database, user: str = "analyst") -> set[tuple[str, str]]:
    """Every pair of nights that one statement over both views finds."""
    with warehouse.session(user) as cursor:
        cursor.execute("select distinct city, night from analytics.people, analytics.orders")
        return set(cursor.fetchall())


def contract(warehouse: Database) -> list[tuple[Any, ...]]:
    """Oid, grants, definition and comments of the views, and the record: all that may matter."""
    return warehouse.rows(
        """
        select c.oid, c.relname, c.relacl::text, pg_get_viewdef(c.oid), obj_description(c.oid),
               array(select col_description(c.oid, n) from generate_series(1, 5) n)
        from pg_class c where c.relnamespace = 'analytics'::regnamespace order by 2
        """
    ) + warehouse.rows("select * from serving.history, serving.edition_state order by 1")


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


def test_editions_take_turns_and_the_old_one_is_readable_while_the_next_is_built(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    tuesday = build(loader, "tuesday")
    assert tuesday is Edition.B
    assert night_of(warehouse) == {("monday", "monday")}
    give(loader, tuesday)
    assert night_of(warehouse) == {("tuesday", "tuesday")}
    assert build_edition(loader) is Edition.A


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


def test_a_view_turned_by_hand_is_turned_back_by_publishing_again(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    give(loader, build(loader, "tuesday"))
    with warehouse.session("loader") as cursor:
        cursor.execute("create or replace view analytics.people as select * from gold_a.people")
    with pytest.raises(PublishRefused, match="people in schema analytics reads gold_a"):
        build_edition(loader)
    give(loader, Edition.B)
    assert night_of(warehouse) == {("tuesday", "tuesday")}
    assert build_edition(loader) is Edition.A


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


def test_a_reader_in_a_transaction_delays_the_swap_but_no_other_reader(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    with warehouse.session("analyst") as idle:
        idle.execute("select count(*) from analytics.orders")
        publishing = in_background(
            lambda: give(loader, edition, patience=Patience(swap=timedelta(seconds=30)))
        )
        waits = []
        for _ in range(40):
            began = time.monotonic()
            assert night_of(warehouse) == {("monday", "monday")}
            waits.append(time.monotonic() - began)
        idle.execute("select city from analytics.people limit 1")
        assert idle.fetchone() == ("monday",)  # one transaction never sees two nights
    publishing()
    assert night_of(warehouse) == {("tuesday", "tuesday")}
    # Unpolite, it would be the rest of the idle transaction; two cores are shared with others.
    assert sorted(waits)[len(waits) * 9 // 10] < 0.25


def test_a_reader_who_stays_is_named_when_patience_ends(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    before = contract(warehouse)
    with warehouse.session("analyst") as idle:
        idle.execute("select pg_backend_pid() from analytics.orders limit 1")
        (pid,) = idle.fetchone()
        with pytest.raises(PublishRefused, match=f"server process {pid} of role analyst"):
            give(loader, edition, patience=IMPATIENT)
    assert contract(warehouse) == before


def test_a_snapshot_older_than_the_edition_is_waited_for_and_never_shown_nothing(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    reader = psycopg2.connect(warehouse.dsn("analyst"))
    reader.set_session(isolation_level="REPEATABLE READ")
    with reader.cursor() as cursor:
        cursor.execute("select 1")  # takes the snapshot, and no lock on a view
        edition = build(loader, "tuesday")
        with pytest.raises(PublishRefused, match="of role analyst"):
            give(loader, edition, patience=IMPATIENT)
        cursor.execute("select count(*) from analytics.people")
        assert cursor.fetchone() == (3,)
    reader.close()
    give(loader, edition, patience=IMPATIENT)
    assert night_of(warehouse) == {("tuesday", "tuesday")}


def test_a_snapshot_taken_after_the_build_is_not_waited_for(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "monday"))
    edition = build(loader, "tuesday")
    reader = psycopg2.connect(warehouse.dsn("analyst"))
    reader.set_session(isolation_level="REPEATABLE READ")
    with reader.cursor() as cursor:
        cursor.execute("select 1")
        give(loader, edition, patience=IMPATIENT)
        cursor.execute("select city from analytics.people limit 1")
        assert cursor.fetchone() == ("tuesday",)
    reader.close()


def test_readers_never_find_two_nights_in_one_statement(
    warehouse: Database, loader: Connection
) -> None:
    give(loader, build(loader, "night 0"))
    stop = threading.Event()
    found: list[set[tuple[str, str]]] = []

    def read() -> None:
        while not stop.is_set():
            found.append(night_of(warehouse))

    readers = [in_background(read) for _ in range(3)]
    for night in range(1, 8):
        give(loader, build(loader, f"night {night}"), position=Lsn(night))
    stop.set()
    for finish in readers:
        finish()
    assert all(len(nights) == 1 for nights in found)
    assert all(city == night for nights in found for city, night in nights)


def test_two_publishers_at_once_are_one_publication(
    warehouse: Database, loader: Connection
) -> None:
    edition = build(loader, "monday")
    with warehouse.session("loader") as other:
        other.execute(
            "select pg_advisory_xact_lock(hashtextextended('analytics-replica:serving', 0))"
        )
        with pytest.raises(AlreadyRunning):
            give(loader, edition)
    assert published_edition(loader) is None


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
    give(loader, edition, wider, ORDERS)
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


def in_background(work: Callable[[], Any]) -> Callable[[], None]:
    """Starts the work in a thread; the result waits for it and raises what it raised."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as cause:  # noqa: BLE001 - raised again by the caller's thread
            failed.append(cause)

    thread = threading.Thread(target=run)
    thread.start()

    def finish() -> None:
        thread.join(60)
        assert not thread.is_alive()
        for cause in failed:
            raise cause

    return finish
