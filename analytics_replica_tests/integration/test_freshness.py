"""Freshness tells "no changes" from "stuck", from real manifests and a real ledger.

The truth is what each test landed and applied itself; the test's clock is the capture's.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.landing.layout import manifest_path
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.silence import record_silence
from analytics_replica.postgres.connect import connect
from analytics_replica.staging.freshness import (
    Freshness,
    Standing,
    freshness_of,
    landing_evidence,
    seconds_behind,
    with_ledger,
)
from analytics_replica_tests.support.drawings import Drawn
from analytics_replica_tests.support.landed import DAY, Landing
from analytics_replica_tests.support.servers import Database

PEOPLE = Drawn('"sh""op"."pe ople"', {"id": "bigint key", "city": "text"})
ORDERS = Drawn("shop.orders", {"id": "bigint key", "night": "text"})


@pytest.fixture
def landing(tmp_path: Path, warehouse: Database) -> Landing:
    """Both tables copied and applied; then two batches: one of people, one of orders."""
    made = Landing(tmp_path, (PEOPLE, ORDERS))
    made.copy("0/100", {PEOPLE: ROWS, ORDERS: ROWS_OF_ORDERS})
    made.stream("0/200", {PEOPLE: "lsn | op | id | city\n0/150 | insert | 2 | Oslo"})
    made.stream("0/300", {ORDERS: "lsn | op | id | night\n0/250 | insert | 2 | tuesday"})
    made.apply(warehouse)
    return made


ROWS = "id | city\n1 | Bergen"
ROWS_OF_ORDERS = "id | night\n1 | monday"


def seen(
    landing: Landing, warehouse: Database, table: Drawn, *, after: timedelta = timedelta(0)
) -> Freshness:
    """The table's freshness so long after the newest capture."""
    now = DAY + timedelta(hours=landing.sequence) + after
    with closing(connect(warehouse.dsn("loader"))) as conn:
        evidence = with_ledger(landing_evidence(landing.settings(warehouse), now), conn)
    return freshness_of(table.table, evidence)


def test_a_table_that_the_newest_batch_changes_is_current(
    landing: Landing, warehouse: Database
) -> None:
    found = seen(landing, warehouse, ORDERS)
    assert (found.standing, found.reason) == (Standing.CURRENT, "")
    assert found.captured
    assert found.landed
    assert found.applied
    assert found.captured.position == found.landed.position == found.applied.position == Lsn(0x300)


def test_a_table_without_changes_is_proven_to_where_the_others_are(
    landing: Landing, warehouse: Database
) -> None:
    found = seen(landing, warehouse, PEOPLE)
    assert found.standing is Standing.NO_CHANGES
    assert found.landed
    assert found.landed.position == Lsn(0x200)
    assert found.applied
    assert found.applied.position == Lsn(0x300)
    assert "proven to 0/300 at 2026-01-01 03:00:00 UTC" in found.reason


def test_recorded_silence_carries_the_proof_on_and_is_not_behind(
    landing: Landing, warehouse: Database
) -> None:
    last = last_manifest(landing.store)
    assert last is not None
    at = DAY + timedelta(hours=9)
    record_silence(landing.store, last[1], Lsn(0x900), at)
    found = seen(landing, warehouse, ORDERS, after=timedelta(hours=6, seconds=5))
    assert found.standing is Standing.NO_CHANGES
    assert "proven to 0/900 at 2026-01-01 09:00:00 UTC" in found.reason
    assert seconds_behind(found.captured, at + timedelta(seconds=5)) == 5.0


def test_without_captures_every_table_is_stuck_and_the_reason_says_since_when(
    landing: Landing, warehouse: Database
) -> None:
    within = seen(landing, warehouse, PEOPLE, after=timedelta(minutes=30))
    beyond = seen(landing, warehouse, PEOPLE, after=timedelta(minutes=31))
    assert within.standing is Standing.NO_CHANGES
    assert beyond.standing is Standing.STUCK
    assert beyond.reason == "nothing was captured since 2026-01-01 03:00:00 UTC"


def test_a_quarantined_table_is_stuck_at_its_own_commit_time_and_the_others_are_not(
    landing: Landing, warehouse: Database
) -> None:
    stood = seen(landing, warehouse, PEOPLE).applied
    landing.stream("0/400", {ORDERS: "lsn | op | id | night\n0/350 | insert | 3 | x"})
    landing.apply(warehouse)
    warehouse.execute(
        "update ops.applied_tables set state = 'quarantined', reason = 'it narrowed', "
        "last_batch = 3, position = '0/300' where table_name = 'pe ople'"
    )
    found = seen(landing, warehouse, PEOPLE)
    assert (found.standing, found.reason) == (Standing.STUCK, "it narrowed")
    assert found.applied
    assert stood
    assert (found.applied.position, found.applied.committed_at) == (
        stood.position,
        stood.committed_at,
    )
    other = seen(landing, warehouse, ORDERS)
    assert other.standing is Standing.CURRENT
    assert other.applied
    assert later(other.applied.committed_at, stood.committed_at)


def test_what_staging_contains_is_judged_without_what_was_landed_since(
    landing: Landing, warehouse: Database
) -> None:
    landing.stream("0/400", {PEOPLE: "lsn | op | id | city\n0/350 | insert | 3 | Voss"})
    now = DAY + timedelta(hours=landing.sequence)
    with closing(connect(warehouse.dsn("loader"))) as conn:
        evidence = with_ledger(landing_evidence(landing.settings(warehouse), now), conn)
    assert freshness_of(PEOPLE.table, evidence).standing is Standing.CURRENT
    staged = freshness_of(PEOPLE.table, evidence.of_staging())
    assert staged.standing is Standing.NO_CHANGES
    assert "proven to 0/300" in staged.reason


def test_before_the_first_capture_and_before_the_first_apply_the_reason_says_so(
    tmp_path: Path, warehouse: Database
) -> None:
    made = Landing(tmp_path, (PEOPLE, ORDERS))
    assert seen(made, warehouse, PEOPLE).reason == "nothing was captured yet"
    made.copy("0/100", {PEOPLE: ROWS, ORDERS: ROWS_OF_ORDERS})
    assert seen(made, warehouse, PEOPLE).reason == "nothing of it was applied yet"


def test_the_cost_is_bounded_however_much_was_landed(landing: Landing, warehouse: Database) -> None:
    for number in range(70):
        landing.stream(f"0/{0x400 + number:X}")
    (landing.root / "landing" / manifest_path(2)).write_text("never read")
    assert seen(landing, warehouse, PEOPLE).standing is Standing.NO_CHANGES


def later(one: datetime | None, other: datetime | None) -> bool:
    """True if both are known and the first is the later."""
    return one is not None and other is not None and one > other
