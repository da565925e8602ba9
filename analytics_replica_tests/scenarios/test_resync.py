"""Some tables again, while writers, captures and applies go on.

Oracle: production's rows through the masks, compared with staging when both have come to rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import AlreadyRunning, CopyFailed, PolicyViolation, SlotBusy
from analytics_replica.landing.capture import capture
from analytics_replica.landing.manifest import manifests
from analytics_replica.landing.resync import resync
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.copying import (
    ACCOUNTS,
    NOTES,
    TABLES,
    WRITES,
    again,
    apply,
    copies,
    drift_of,
    going_on,
    once,
    same,
    small_shop,
)
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    return small_shop(production, pipeline)


def test_tables_copied_again_under_writes_captures_and_applies_equal_production(
    shop: Pipeline,
) -> None:
    number, settings = iter(range(10_000_000)), shop.settings

    def write() -> None:
        shop.production.execute(WRITES.format(n=next(number)))

    def land() -> None:
        with suppress(AlreadyRunning, SlotBusy):
            capture(settings, SystemClock())

    with going_on(write, land, lambda: apply_pending(settings, SystemClock())):
        reports = [
            resync(settings, SystemClock(), tables) for tables in ([ACCOUNTS, NOTES], [NOTES])
        ]
    assert copies(shop)[1:] == [{"public.accounts", "public.notes"}, {"public.notes"}]
    assert reports[0].rows[NOTES] > 0
    assert same(shop)
    rebuild(shop.settings, SystemClock())
    assert differences(shop.production, shop.warehouse, shop.settings) == {}


def test_changes_on_both_sides_of_the_copy_come_on_top_of_it_exactly_once(shop: Pipeline) -> None:
    """The stream is landed, and applied, beyond the copy's position before the copy is."""
    shop.production.execute("insert into notes values (7, 'before the copy')")

    def go_on() -> None:
        shop.production.execute("insert into notes values (8, 'beside the copy')")
        shop.production.execute("update accounts set amount = amount + 1 where id < 9")
        shop.capture()
        apply(shop)

    report = again(shop, ACCOUNTS, NOTES, reached=once("copied a part", go_on))
    batches = list(manifests(shop.store))
    (copy,) = [m for m in batches if m.sequence == report.sequence]
    assert copy.from_lsn > copy.to_lsn == report.position
    shop.production.execute("insert into notes values (9, 'after the copy')")
    assert same(shop)


def test_a_table_that_stands_still_goes_on_after_it_was_copied_again(shop: Pipeline) -> None:
    shop.warehouse.execute("drop table staging.accounts")
    shop.production.execute("insert into accounts values (1000, 'e', 1)")
    shop.capture()
    assert list(apply(shop).quarantined) == [ACCOUNTS]
    again(shop, ACCOUNTS)
    assert same(shop)


def test_a_type_that_was_narrowed_meanwhile_does_not_stop_the_copied_table(shop: Pipeline) -> None:
    """The batch in which the copy's position lies has changes in the old and in the new shape."""
    shop.production.execute("update accounts set amount = 5 where id = 1")
    shop.production.execute("alter publication analytics_replica drop table accounts")
    shop.production.execute("alter table accounts alter amount type smallint")
    shop.prepare()
    write = partial(shop.production.execute, "update accounts set amount = 6 where id = 2")
    again(shop, ACCOUNTS, reached=once("copied a part", write))
    assert same(shop)
    assert shop.warehouse.scalar(
        "select format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = 'staging.accounts'::regclass and attname = 'amount'"
    ) == ("smallint")


def test_a_new_column_with_a_default_is_flagged_until_the_table_is_copied_again(
    shop: Pipeline,
) -> None:
    """Old rows have what the catalog stored when the column came (attmissingval)."""
    shop.production.execute("alter table accounts add grade text default 'old default'")
    shop.production.execute("alter table accounts alter grade set default 'new default'")
    shop.tables["public.accounts"] = {**TABLES["public.accounts"], "grade": "keep"}
    shop.prepare()
    shop.production.execute("insert into accounts (id) values (2000)")
    shop.capture()
    apply(shop)
    drift = drift_of(shop, ACCOUNTS)
    assert drift[0] is Outcome.CANNOT_TELL
    assert "earlier rows are NULL in it" in drift[1]
    again(shop, ACCOUNTS)
    assert same(shop)
    assert drift_of(shop, ACCOUNTS)[0] is Outcome.PASS
    assert shop.warehouse.rows(
        "select grade, count(*) from staging.accounts group by 1 order by 1"
    ) == [("new default", 1), ("old default", 500)]


def test_a_table_that_is_new_in_replica_yaml_comes_without_a_copy_of_all(shop: Pipeline) -> None:
    shop.production.execute("create table late (id int primary key)")
    shop.production.execute("insert into late select generate_series(1, 10)")
    shop.tables["public.late"] = {"id": "keep"}
    shop.prepare()
    late = TableName("public", "late")
    shop.capture()
    assert late not in apply(shop).tables
    again(shop, late)
    shop.production.execute("insert into late values (11)")
    assert same(shop)
    assert copies(shop)[1:] == [{"public.late"}]


def test_a_running_capture_is_waited_for_and_lands_the_copy(shop: Pipeline) -> None:
    """A service holds the lock; the resync neither needs it nor takes it away."""
    with shop.store.one_writer():
        with pytest.raises(AlreadyRunning, match="has not landed the copy yet"):
            again(shop, ACCOUNTS, patience=timedelta(0))
        assert copies(shop)[1:] == []
    released = threading.Event()

    def other() -> None:
        with shop.store.one_writer():
            assert released.wait(60)
        shop.capture()

    thread = threading.Thread(target=other)
    thread.start()

    def heard(step: str, done: int, total: int | None) -> None:
        if step.startswith("waiting for the running capture"):
            released.set()

    again(shop, ACCOUNTS, progress=heard)
    thread.join()
    assert copies(shop)[1:] == [{"public.accounts"}] * 2
    assert same(shop)


def test_a_copy_that_does_not_fit_any_more_is_thrown_away_with_the_reason(shop: Pipeline) -> None:
    def other_policy(point: str) -> None:
        if point == "proposed":
            shop.tables["public.accounts"] = {
                **TABLES["public.accounts"],
                "amount": {"mask": "null"},
            }
            shop.capture()

    with pytest.raises(CopyFailed, match=r"replica\.yaml says something else"):
        again(shop, ACCOUNTS, reached=other_policy)
    assert copies(shop)[1:] == []
    shop.tables = dict(TABLES)

    def newer_copy(point: str) -> None:
        if point == "proposed":
            again(shop, ACCOUNTS)

    first = again(shop, ACCOUNTS, reached=newer_copy)
    assert len(copies(shop)) == 3
    assert first.by_other
    assert same(shop)


def test_a_table_that_nobody_listed_is_refused(shop: Pipeline) -> None:
    with pytest.raises(PolicyViolation, match=r"public\.other is not in replica\.yaml"):
        again(shop, TableName("public", "other"))
