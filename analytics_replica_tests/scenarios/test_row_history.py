"""Histories of a real production: any moment can be asked for, and a deleted person is in none.

Real production, landing and warehouse; dbt and Dagster where a night is needed. Oracle: what
PostgreSQL showed in production right after each commit, through the masks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.strategies.hmac_tokens import token_of
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.serving.erasure.request import Request
from analytics_replica.serving.erasure.verify import verify_erasure
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.fold import fold
from analytics_replica_tests.support.comparison import expected_rows
from analytics_replica_tests.support.nights import house
from analytics_replica_tests.support.pipeline import KEY, Pipeline, open_directory
from analytics_replica_tests.support.servers import Database

pytestmark = pytest.mark.slow

TABLE = 'club."Gäste"'
RAW = "Ann@Example.com"
TOKEN = token_of("ann@example.com", "email", bytes.fromhex(KEY))
CREATE = """
create schema club;
create table club."Gäste" (id bigint primary key, email text, town text, story text);
alter table club."Gäste" alter story set storage external;
insert into club."Gäste" values (1, 'Ann@Example.com', 'Oslo', repeat('long', 4000)),
    (2, 'bob@example.com', 'Turku', repeat('tall', 4000));
"""
STEPS = (
    "update club.\"Gäste\" set town = 'Rome' where id = 1",
    'update club."Gäste" set id = 7 where id = 1',
    (
        "update club.\"Gäste\" set town = 'Lima' where id = 7; "
        "update club.\"Gäste\" set town = 'Kiel' where id = 7"
    ),
    "insert into club.\"Gäste\" values (3, 'cyd@example.com', null, repeat('wide', 4000))",
    'update club."Gäste" set town = null where id = 2',
    'delete from club."Gäste" where id = 7',
    'truncate club."Gäste"',
    "insert into club.\"Gäste\" values (2, 'bob@example.com', 'Turku', repeat('new', 4000))",
)


@pytest.fixture
def guests(production: Database, warehouse: Database) -> Iterator[Pipeline]:
    """A table whose history is kept, copied and applied."""
    production.execute(CREATE)
    rules = {"email": {"mask": "email", "domain": "email"}}
    columns = {"id": "keep", **rules, "town": "keep", "story": "keep"}
    pipeline = Pipeline(open_directory(), production, warehouse, {TABLE: columns})
    pipeline.options = {TABLE: {"history": True, "deleted": "keep"}}
    pipeline.prepare()
    pipeline.capture()
    apply_pending(pipeline.settings, SystemClock())
    yield pipeline
    production.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def _then(pipeline: Pipeline, lsn: str) -> Counter[tuple[str | None, ...]]:
    settings = pipeline.settings
    (name,) = settings.tables
    columns = sql.names(Policy.from_settings(settings).published(name))
    texts = ", ".join(f"{column}::text" for column in columns.text.split(", "))
    rows = pipeline.warehouse.rows(
        f'select {texts} from history."Gäste" where _replica_lsn < %s and '
        "coalesce(_replica_ended_lsn > %s, true)",
        (lsn, lsn),
    )
    return Counter(rows)


def test_every_moment_of_production_can_be_asked_for(guests: Pipeline) -> None:
    moments = []
    for number, step in enumerate(STEPS):
        guests.production.execute(step)
        (rows,) = expected_rows(guests.production, guests.settings).values()
        moments.append((guests.production.scalar("select pg_current_wal_lsn()::text"), rows))
        if number % 3 == 1:
            guests.capture()
        if number == 4:
            apply_pending(guests.settings, SystemClock())
    guests.capture()
    apply_pending(guests.settings, SystemClock())
    for lsn, rows in moments:
        assert _then(guests, lsn) == rows
    versions = guests.warehouse.rows(
        'select town from history."Gäste" where id in (1, 7) order by _replica_lsn'
    )
    assert versions == [("Oslo",), ("Rome",), ("Rome",), ("Kiel",)], "one version for each commit"
    open_ = 'select id, town from history."Gäste" where _replica_valid_to is null'
    assert guests.warehouse.rows(open_) == [(2, "Turku")]
    living = 'select id, town from staging."Gäste" where _replica_deleted_at is null'
    assert guests.warehouse.rows(living) == [(2, "Turku")]
    dead = 'select id, town from staging."Gäste" where _replica_deleted_at is not null order by id'
    assert guests.warehouse.rows(dead) == [(1, "Rome"), (3, None), (7, "Kiel")]


def _found(pipeline: Pipeline) -> dict[str, list[str]]:
    """Store → when what is found of Ann in it goes, as the receipt has it."""
    request = Request(TableName.parse(TABLE), {"id": "1"}, (("email", RAW),))
    receipt = verify_erasure(pipeline.settings, SystemClock(), request, by="test")
    return {
        store["store"]: [hit["gone"] for hit in store["found"]]
        for store in receipt.body["stores"]
        if store["found"]
    }


def test_a_deleted_person_is_found_in_history_and_kept_rows_until_their_days_are_over(
    guests: Pipeline,
) -> None:
    for step in STEPS[:6]:
        guests.production.execute(step)
    guests.capture()
    apply_pending(guests.settings, SystemClock())
    found = _found(guests)
    assert {"staging", "history"} <= found.keys()
    assert {hit[:19] for hit in (*found["staging"], *found["history"])} == {"first apply 30 days"}
    guests.options[TABLE]["deleted_days"] = 0
    guests.production.execute(STEPS[4])
    guests.capture()
    apply_pending(guests.settings, SystemClock())
    fold(guests.settings, SystemClock(), before=datetime.now(UTC))
    assert _found(guests) == {}
    everything = guests.warehouse.rows('select h::text from history."Gäste" h')
    assert everything
    assert not any(TOKEN in row for (row,) in everything)


def test_an_unmasked_value_in_a_history_stops_the_night(server: LocalServer) -> None:
    with house(server) as club, club.instance() as instance:
        club.pipeline.options = {"club.members": {"history": True}}
        club.production.execute("select 1")
        assert club.night(instance).error is None
        club.production.execute("update club.members set town = 'Rome' where id = 1")
        assert club.night(instance).failed_checks == ()
        club.warehouse.execute(
            "update history.members set email = 'ann@example.com' where town = 'Oslo'"
        )
        club.production.execute("update club.members set town = 'Bonn' where id = 2")
        report = club.night(instance)
        assert any("masking_proof" in str(check) for check in report.failed_checks)
        may = "select has_table_privilege(%s, 'history.members', 'select')"
        assert club.warehouse.scalar(may, ("analytics_engineer",))
        assert not club.warehouse.scalar(may, ("analyst",))
