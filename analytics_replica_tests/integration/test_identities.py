"""What identifies a row: every replica identity, through changes of keys, large values, TRUNCATE.

Judged by PostgreSQL: after each change staging is what production is. Not here: the events of a
single change (test_capture.py), which tables the script refuses (test_dba_script.py).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

COLUMNS = {"id": "keep", "code": {"mask": "token", "domain": "code"}, "n": "keep", "body": "keep"}
LARGE = "string_agg(md5({seed} || i::text), '')"

IDENTITIES = {
    "default": "create table t (id int primary key, code text not null, n int, body text)",
    "generated columns beside": """
        create table t (id int primary key, code text not null, n int, body text,
            g text generated always as (code || '!') stored, h int generated always as (n + 1))
    """,
    "index": """
        create table t (id int not null, code text not null, n int, body text);
        create unique index by_code on t (code); alter table t replica identity using index by_code
    """,
    "index beside a primary key": """
        create table t (id int primary key, code text not null, n int, body text);
        create unique index by_code on t (code); alter table t replica identity using index by_code
    """,
    "full": """
        create table t (id int, code text, n int, body text); alter table t replica identity full
    """,
    "full with a primary key": """
        create table t (id int primary key, code text, n int, body text);
        alter table t replica identity full
    """,
    "large key": """
        create table t (id int not null, code text not null primary key, n int, body text);
        alter table t alter code set storage external
    """,
    "composite": """
        create table t (id int, code text, n int, body text, primary key (code, id))
    """,
    "partitioned": """
        create table t (id int, code text, n int, body text, primary key (id))
        partition by range (id);
        create table t_low partition of t for values from (0) to (4);
        create table t_high partition of t default
    """,
}

CHANGES = {
    "small update beside a large value": "update t set n = n + 1",
    "large value changes": "update t set body = reverse(body) where id < 3",
    "large value becomes NULL and the empty text": """
        update t set body = null where id = 1; update t set body = '' where id = 2
    """,
    "key changes": "update t set id = id + 100, code = code || '!' where id = 1",
    "key changes beside a large value": "update t set id = id + 100, code = code || '!'",
    "keys swap in one transaction": """
        update t set id = -1, code = 'free' where id = 1;
        update t set id = 1, code = code || '?' where id = 2;
        update t set id = 2, code = 'was one' where id = -1
    """,
    "delete and insert again": """
        delete from t where id = 2; insert into t values (2, 'again', 0, 'small')
    """,
    "delete and insert again in the other order of keys": """
        delete from t; insert into t select 6 - i, 'c' || i, i, null from generate_series(1, 5) i
    """,
    "update, then delete": "update t set n = 0; delete from t where id in (1, 3)",
    "truncate restart identity, then insert": """
        truncate t restart identity; insert into t values (1, 'new', 1, 'new')
    """,
    "insert, change its key and delete it": """
        insert into t values (7, 'seven', 7, 'x'); update t set id = 8, code = 'eight' where id = 7;
        delete from t where id = 8
    """,
}


@pytest.fixture(params=IDENTITIES)
def table(
    request: pytest.FixtureRequest, production: Database, pipeline: Callable[..., Pipeline]
) -> Pipeline:
    production.execute(IDENTITIES[request.param])
    if request.param != "large key":
        production.execute("alter table t alter body set storage external")
    key = (
        "k.i::text || repeat(md5(k.i::text), 80)" if request.param == "large key" else "'c' || k.i"
    )
    body = f"select {LARGE.format(seed='k.i')} from generate_series(1, 200) i"
    production.execute(
        f"insert into t (id, code, n, body) select k.i, {key}, k.i, ({body}) "
        "from generate_series(1, 5) k (i)"
    )
    made = pipeline({"public.t": COLUMNS})
    made.prepare()
    made.capture()
    apply_pending(made.settings, SystemClock())
    return made


def test_staging_is_production_after_every_change_of_every_identity(table: Pipeline) -> None:
    told = {}
    for named, change in CHANGES.items():
        table.production.execute(change)
        table.capture()
        apply_pending(table.settings, SystemClock())
        told[named] = differences(table.production, table.warehouse, table.settings)
    assert told == {named: {} for named in CHANGES}


def test_staging_is_production_after_all_changes_at_once(table: Pipeline) -> None:
    for change in CHANGES.values():
        if "truncate" not in change:
            table.production.execute(change)
    table.capture()
    apply_pending(table.settings, SystemClock())
    assert differences(table.production, table.warehouse, table.settings) == {}


def test_one_truncate_of_several_tables_empties_them_together(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("""
        create table parent (id int generated always as identity primary key, v text);
        create table child (id int primary key, parent int references parent);
        create table grandchild (id int primary key, child int references child);
        create table beside (id int primary key);
        insert into parent (v) values ('a'), ('b'); insert into child values (1, 1);
        insert into grandchild values (1, 1); insert into beside values (1)
    """)
    names = ("parent", "child", "grandchild", "beside")
    columns = {"parent": ("id", "v"), "child": ("id", "parent"), "grandchild": ("id", "child")}
    made = pipeline({f"public.{n}": dict.fromkeys(columns.get(n, ("id",)), "keep") for n in names})
    made.prepare()
    made.capture()
    production.execute(
        "truncate parent restart identity cascade; insert into parent (v) values ('c')"
    )
    made.capture()
    apply_pending(made.settings, SystemClock())
    assert differences(production, made.warehouse, made.settings) == {}
    counts = [made.warehouse.scalar(f"select count(*) from staging.{n}") for n in names]
    assert counts == [1, 0, 0, 1]
