"""Partitioned tables: their changes arrive under the root, and what the log does not tell is told.

Judged by PostgreSQL: staging is what production is. Not here: which partitioned tables the script
refuses (test_dba_script.py).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

COLUMNS = {"id": "keep", "day": "keep", "v": {"mask": "token", "domain": "v"}}
DECLARED = """
create table sales (id int, day int, v text, primary key (id, day)) partition by range (day);
create table sales_1 partition of sales for values from (10) to (20);
create table sales_2 partition of sales for values from (20) to (40) partition by list (day);
create table sales_2a partition of sales_2 default;
insert into sales select n, 10 + n % 30, 'v' || n from generate_series(1, 60) n;
"""


@pytest.fixture
def sales(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute(DECLARED)
    made = pipeline({"public.sales": COLUMNS})
    made.prepare()
    made.capture()
    return made


def incomplete_after(made: Pipeline) -> bool:
    report = made.capture()
    apply_pending(made.settings, SystemClock())
    return bool(report.incomplete)


def same(made: Pipeline) -> bool:
    return differences(made.production, made.warehouse, made.settings) == {}


def test_the_first_copy_has_the_rows_of_all_partitions_under_the_root(sales: Pipeline) -> None:
    apply_pending(sales.settings, SystemClock())
    assert sales.warehouse.scalar("select count(*) from staging.sales") == 60
    assert same(sales)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param("insert into sales values (100, 11, 'x'), (101, 25, 'y')", id="inserts"),
        pytest.param("update sales set day = 25, v = 'moved' where day < 15", id="rows move"),
        pytest.param("update sales_1 set v = 'z'; delete from sales_2a where id > 5", id="leaves"),
        pytest.param("truncate sales; insert into sales values (1, 11, 'new')", id="truncate root"),
        pytest.param(
            "create table sales_3 partition of sales for values from (40) to (50);"
            "insert into sales values (200, 41, 'later'); update sales set v = 'u' where day = 41;"
            "insert into sales values (201, 42, 'gone'); delete from sales where id = 201",
            id="made later",
        ),
        pytest.param(
            "create table sales_3 partition of sales for values from (40) to (60) "
            "partition by range (day); create table sales_3a partition of sales_3 "
            "for values from (40) to (50); insert into sales values (200, 41, 'below')",
            id="made later below one that was made later",
        ),
        pytest.param("alter table sales_1 replica identity full", id="a leaf with more"),
    ],
)
def test_changes_of_partitions_arrive_under_the_root_and_make_no_hole(
    sales: Pipeline, changes: str
) -> None:
    if "replica identity full" in changes:
        sales.tables["public.sales"] = COLUMNS
        sales.production.execute("alter publication analytics_replica set table sales")
        sales.production.execute(changes)
        sales.prepare()
        sales.capture(first_copy=True)
        changes = "update sales set day = 22 where day = 12; delete from sales where day = 13"
    sales.changes["landing.batch_rows"] = 1  # so that the batches end where the changes do
    for statement in changes.split(";"):
        sales.production.execute(statement)
    assert not incomplete_after(sales)
    assert same(sales)


@pytest.mark.parametrize(
    "unseen",
    [
        pytest.param("truncate sales_1", id="truncate leaf"),
        pytest.param("drop table sales_1", id="drop leaf"),
        pytest.param("alter table sales detach partition sales_2", id="detach"),
        pytest.param(
            "create table old (like sales); insert into old values (300, 41, 'before');"
            "alter table sales attach partition old for values from (40) to (50)",
            id="attach with rows",
        ),
        pytest.param(
            "truncate sales_1, sales_2; insert into sales values (500, 11, 'x')",
            id="truncate all leaves",
        ),
        pytest.param(
            "truncate sales; insert into sales values (1, 11, 'x'); truncate sales_1",
            id="truncate root, then a leaf",
        ),
    ],
)
def test_what_the_log_does_not_tell_of_partitions_is_a_hole_until_the_next_copy(
    sales: Pipeline, unseen: str
) -> None:
    for statement in unseen.split(";"):
        sales.production.execute(statement)
    assert incomplete_after(sales)
    day = 11 if "detach" in unseen else 31
    sales.production.execute("insert into sales values (400, %s, 'goes on')", (day,))
    assert incomplete_after(sales)
    sales.capture(first_copy=True)
    assert not incomplete_after(sales)
    assert same(sales)


def test_a_partition_filled_and_attached_in_one_transaction_is_a_hole(sales: Pipeline) -> None:
    sales.production.execute(
        "create table new (id int, day int, v text); insert into new values (300, 41, 'before');"
        "alter table new alter id set not null, alter day set not null;"
        "alter table sales attach partition new for values from (40) to (50)"
    )
    assert incomplete_after(sales)


def test_publishing_leaves_under_their_own_names_stops_the_table(sales: Pipeline) -> None:
    sales.production.execute("create table other (id int primary key)")
    sales.tables["public.other"] = {"id": "keep"}
    sales.prepare()
    sales.capture(first_copy=True)
    sales.production.execute(
        "alter publication analytics_replica set table sales, other;"
        "alter publication analytics_replica set (publish_via_partition_root = false)"
    )
    sales.production.execute("insert into sales values (100, 11, 'x')")
    report = sales.capture()
    told = {str(table): why for table, why in report.incomplete.items()}
    assert "publish_via_partition_root off" in told["public.sales"]
    assert len(sales.landed("public.sales", "id")) == 120
