"""Changing the masking key while production is written to, captured and applied.

Oracles: tokens computed with Python's hmac as docs/reference/tokens.md says, Parquet read by
DuckDB, production's own rows, and a reader of staging that looks all the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import psycopg2
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import AlreadyRunning, CopyFailed, SettingsInvalid, SlotBusy
from analytics_replica.landing.capture import capture, follow
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.copying import again, apply, going_on, once, same
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.pipeline import Pipeline, streams_large_transactions
from analytics_replica_tests.support.rotating import (
    KEYS,
    WRITES,
    all_under,
    key_file,
    keys_are,
    landed_tokens,
    last_batch,
    rotated,
    rotating_shop,
    token,
)
from analytics_replica_tests.support.servers import Database

PEOPLE = TableName("public", "people")

LOOK = """
-- people, those of them with a visit, and one person's token in both tables, in one statement
select (select count(*) from staging.people),
       (select count(*) from staging.people p
        where exists (select from staging.visits v where v.who = p.email)),
       array(select email from staging.people where id = 5
             union all select who from staging.visits where who = any(%s))
"""


@pytest.fixture
def shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    return rotating_shop(production, pipeline)


def test_captures_go_on_under_the_old_key_after_another_one_became_active(shop: Pipeline) -> None:
    before = last_batch(shop)
    keys_are(shop, "k2", "k1", "k2")
    shop.production.execute("insert into people values (900, 'new@x.org', 1)")
    shop.production.execute("insert into visits values ('new@x.org', 1)")
    shop.capture()
    assert landed_tokens(shop, before) == {token("k1", "new@x.org")}
    assert landed_tokens(shop, before, beside=True) == {token("k2", "new@x.org")}
    apply(shop)
    assert all_under(shop, "k1")
    again(shop, PEOPLE)
    shop.production.execute("insert into people values (901, 'newer@x.org', 1)")
    shop.capture()
    apply(shop)
    assert all_under(shop, "k1")


def test_a_rotation_changes_all_tables_over_in_one_apply(shop: Pipeline) -> None:
    keys_are(shop, "k2", "k1", "k2")

    def go_on() -> None:
        shop.production.execute(WRITES.format(n=7))
        shop.capture()
        apply(shop)
        assert all_under(shop, "k1")
        shop.production.execute(WRITES.format(n=8))

    report = rotated(shop, reached=once("copied a part", go_on))
    assert report.copied is not None
    assert sorted(map(str, report.copied.rows)) == ["public.people", "public.visits"]
    shop.production.execute(WRITES.format(n=9))
    shop.capture()
    assert not all_under(shop, "k2")
    assert apply(shop).quarantined == {}
    assert all_under(shop, "k2")
    assert same(shop)
    rebuild(shop.settings, SystemClock())
    assert all_under(shop, "k2")
    assert rotated(shop).copied is None


def test_after_a_rotation_the_old_key_is_not_needed_any_more(shop: Pipeline) -> None:
    keys_are(shop, "k2", "k1", "k2")
    rotated(shop)
    keys_are(shop, "k2", "k2")
    before = last_batch(shop)
    shop.production.execute(WRITES.format(n=3))
    shop.capture()
    assert landed_tokens(shop, before, beside=True) == set()
    apply(shop)
    assert all_under(shop, "k2")
    assert same(shop)


def test_a_reader_never_joins_tokens_of_two_keys(shop: Pipeline) -> None:
    """Each person here has a visit; under two keys none of them would join."""
    keys_are(shop, "k2", "k1", "k2")
    numbers, settings = iter(range(10_000)), shop.settings
    looked: list[tuple[int, int]] = []
    seen = {token(key_id, "p5"): key_id for key_id in KEYS}
    keys_seen: list[set[str]] = []
    opened = psycopg2.connect(shop.warehouse.dsn())
    opened.autocommit = True

    def look() -> None:
        with opened.cursor() as cursor:
            cursor.execute(LOOK, (list(seen),))
            (row,) = cursor.fetchall()
        looked.append(row[:2])
        keys_seen.append({seen[found] for found in row[2]})

    def write() -> None:
        n = next(numbers)
        shop.production.execute(
            f"begin; insert into people values ({n} + 1000, 'q{n}', 0); "
            f"insert into visits values ('q{n}', 1); commit"
        )

    def land() -> None:
        with suppress(AlreadyRunning, SlotBusy):
            capture(settings, SystemClock())

    with going_on(write, land, lambda: apply_pending(settings, SystemClock()), look):
        rotated(shop)
    assert same(shop)
    look()
    opened.close()
    assert all(people == joined for people, joined in looked)
    assert set(map(len, keys_seen)) == {1}
    assert [next(iter(keys_seen[0])), next(iter(keys_seen[-1]))] == ["k1", "k2"]


def test_an_open_transaction_that_was_streamed_comes_under_the_new_key_alone(
    shop: Pipeline,
) -> None:
    """Its rows were sealed and wait on disk, under both keys, when the key changes."""
    streams_large_transactions(shop.production)
    keys_are(shop, "k2", "k1", "k2")
    with psycopg2.connect(shop.production.dsn()) as opened, opened.cursor() as cursor:
        cursor.execute("insert into visits select 'open' || n, 1 from generate_series(1, 9000) n")
        shop.capture()
        rotated(shop)
        shop.capture()
    shop.capture()
    apply(shop)
    assert all_under(shop, "k2")


def test_a_follower_goes_over_to_the_new_key_inside_an_open_transaction(shop: Pipeline) -> None:
    """Rows that it has sealed and spilled under both keys join a batch after the change."""
    streams_large_transactions(shop.production)
    keys_are(shop, "k2", "k1", "k2")
    settings, ended = shop.settings, threading.Event()
    following = threading.Thread(
        target=follow,
        args=(settings, SystemClock()),
        kwargs={"every": timedelta(seconds=1), "stopped": ended.is_set, "heard": lambda _: None},
    )
    following.start()
    try:
        eventually(shop.store.is_followed)
        with psycopg2.connect(shop.production.dsn()) as opened, opened.cursor() as cursor:
            cursor.execute(
                "insert into visits "
                "select repeat('open', 99) || n, 1 from generate_series(1, 30000) n"
            )
            eventually(lambda: spilled(shop) == 2)
            # A commit: without one production's log may end inside a record, which nobody can read.
            shop.production.execute("insert into pages values (1000, 'page')")
            rotated(shop)
            eventually(lambda: spilled(shop) == 1)
            cursor.execute("insert into visits values ('after', 1)")
        before = last_batch(shop)
        shop.capture()
    finally:
        ended.set()
        following.join()
    assert landed_tokens(shop, before, beside=True) == set()
    apply(shop)
    assert all_under(shop, "k2")


def test_a_key_that_was_replaced_under_its_id_is_refused(shop: Pipeline) -> None:
    before = last_batch(shop)
    key_file(shop.root / "k1.key", KEYS["k3"])
    shop.production.execute("insert into people values (900, 'new@x.org', 1)")
    for run in (shop.capture, lambda: again(shop, PEOPLE), lambda: rotated(shop)):
        with pytest.raises(SettingsInvalid, match="k1 is not the one that made what is landed"):
            run()
    with pytest.raises(SettingsInvalid, match="k1 is not the one"):
        shop.capture(first_copy=True)
    assert last_batch(shop) == before
    key_file(shop.root / "k1.key", KEYS["k1"])
    assert same(shop)


def test_without_the_old_key_nothing_is_landed_until_all_is_copied_anew(shop: Pipeline) -> None:
    before = last_batch(shop)
    keys_are(shop, "k2", "k2")
    shop.production.execute("insert into people values (900, 'new@x.org', 1)")
    for run in (shop.capture, lambda: again(shop, PEOPLE), lambda: rotated(shop)):
        with pytest.raises(SettingsInvalid, match=r"k1 is not in replica\.yaml") as refused:
            run()
        assert "capture --first-copy" in refused.value.next
    assert last_batch(shop) == before
    shop.capture(first_copy=True)
    apply(shop)
    assert all_under(shop, "k2")


def test_a_capture_with_an_older_replica_yaml_refuses_the_copy(shop: Pipeline) -> None:
    """A service that reads replica.yaml when it starts."""
    old = shop.settings
    keys_are(shop, "k2", "k1", "k2")

    def older_service(point: str) -> None:
        if point == "proposed":
            shop.production.execute("insert into people values (900, 'new@x.org', 1)")
            capture(old, SystemClock())

    with pytest.raises(CopyFailed, match="the capture works with k1 as the active key"):
        rotated(shop, reached=older_service)
    assert same_under(shop, "k1")


def test_changes_that_landed_under_the_old_key_alone_are_never_mixed_in(shop: Pipeline) -> None:
    old = shop.settings
    keys_are(shop, "k2", "k1", "k2")

    def older_capture() -> None:
        shop.production.execute("insert into people values (900, 'new@x.org', 1)")
        capture(old, SystemClock())

    with pytest.raises(CopyFailed, match=r"landed under the old masking key\s+alone"):
        rotated(shop, reached=once("copied a part", older_capture))
    assert same_under(shop, "k1")
    rotated(shop)
    apply(shop)
    assert all_under(shop, "k2")


def spilled(shop: Pipeline) -> int:
    """How many files of open transactions wait."""
    return len(list((shop.root / "landing" / "unfinished").iterdir()))


def same_under(shop: Pipeline, key_id: str) -> bool:
    shop.capture()
    apply(shop)
    return all_under(shop, key_id)
