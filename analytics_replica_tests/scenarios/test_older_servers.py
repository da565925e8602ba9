"""The script and one capture on an older major version, and what is refused there by name.

Oracle: a real server of the oldest version whose programs are on this machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import psycopg2
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.errors import DemoError, SourceNotPrepared
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.source.replication import SourceConnection
from analytics_replica.source.slot import require_server
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import ROLE, Columns, Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

OLDER = 15
DECLARED = """
create table people (id int primary key, email text, age int);
create table log (id int, v text);
create table full_one (id int, v text, g text generated always as (v || '!') stored);
alter table full_one replica identity full;
create table days (id int, d int, primary key (id, d)) partition by range (d);
create table days_1 partition of days for values from (0) to (10);
insert into people values (1, 'a@x', 5); insert into log values (1, 'x'), (1, 'x');
insert into full_one values (1, 'a'), (1, 'a'); insert into days values (1, 1);
"""
CHANGES = """
insert into people values (2, 'b@x', 6); update people set id = 9 where id = 1;
insert into log values (1, 'x'); update full_one set v = 'b' where ctid = '(0,1)';
create table days_2 partition of days for values from (10) to (20);
insert into days values (2, 11); update days set d = 12 where id = 1
"""
TABLES: dict[str, Columns] = {
    "public.people": {"id": "keep", "email": {"mask": "token", "domain": "e"}, "age": "drop"},
    "public.log": {"id": "keep", "v": "keep"},
    "public.full_one": {"id": "keep", "v": "keep"},
    "public.days": {"id": "keep", "d": "keep"},
}


@pytest.fixture(scope="module")
def older() -> Iterator[Database]:
    """An empty database on the older server, with our roles."""
    try:
        programs = binaries_of(OLDER)
    except DemoError:
        pytest.skip(f"no programs of PostgreSQL {OLDER} on this machine")
    with running_server(bin_dir=programs) as server:
        admin = Database(server, "postgres")
        admin.execute(f"create role {ROLE} login replication")
        yield admin


@pytest.fixture
def replica(older: Database, warehouse: Database) -> Iterator[Pipeline]:
    root = open_directory()
    with fresh_database(older.server, "production") as production:
        production.execute(DECLARED)
        yield Pipeline(root, production, warehouse, dict(TABLES), append_only=("public.log",))
    shutil.rmtree(root, ignore_errors=True)


def test_staging_is_production_on_the_older_version(replica: Pipeline) -> None:
    replica.prepare()
    replica.prepare()
    replica.capture()
    for statement in CHANGES.split(";"):
        replica.production.execute(statement)
    report = replica.capture()
    assert (dict(report.incomplete), report.unlisted) == ({}, ())
    apply_pending(replica.settings, SystemClock())
    assert differences(replica.production, replica.warehouse, replica.settings) == {}


def test_a_publication_that_came_later_waits_one_capture_instead_of_ending_the_stream(
    replica: Pipeline,
) -> None:
    replica.append_only = ()
    del replica.tables["public.log"]
    replica.prepare()
    replica.capture()
    replica.production.execute("insert into people values (5, 'e@x', 1)")
    replica.tables["public.log"] = TABLES["public.log"]
    replica.append_only = ("public.log",)
    replica.prepare()
    report = replica.capture()
    assert [str(table) for table in report.incomplete] == ["public.log"]
    assert replica.landed("public.people", "id")[-1] == (5,)
    replica.production.execute("insert into people values (6, 'f@x', 1)")
    replica.capture()
    assert replica.landed("public.people", "id")[-1] == (6,)


@pytest.mark.parametrize("unseen", ["truncate days_1", "drop table days_1"])
def test_what_the_log_does_not_tell_of_partitions_is_noticed_there_too(
    replica: Pipeline, unseen: str
) -> None:
    replica.prepare()
    replica.capture()
    replica.production.execute(unseen)
    assert [str(table) for table in replica.capture().incomplete] == ["public.days"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("source.failover", "needs PostgreSQL 17"),
        ("source.decode_from_standby", "needs PostgreSQL"),
    ],
)
def test_the_script_refuses_what_the_version_cannot_do(
    replica: Pipeline, setting: str, says: str
) -> None:
    replica.changes[setting] = True
    with pytest.raises(psycopg2.errors.RaiseException, match=says):
        replica.prepare()
    assert replica.production.rows("select 1 from pg_publication") == []


@pytest.mark.parametrize(
    ("version", "standby", "says"),
    [
        (130011, False, "it is PostgreSQL 13, and versions 14 to 18 are supported"),
        (190000, False, "it is PostgreSQL 19, and versions 14 to 18 are supported"),
        (150009, True, "a standby of PostgreSQL 15 cannot decode its log; 16 and later can"),
        (140000, False, None),
        (180099, False, None),
        (160000, True, None),
    ],
)
def test_a_version_that_is_not_supported_is_refused_by_name(
    replica: Pipeline, version: int, *, standby: bool, says: str | None
) -> None:
    with SourceConnection(replica.production.dsn(ROLE)) as source:
        state = source.read_state(replica.slot, "analytics_replica")
    other = replace(state, server_version=version, in_recovery=standby)
    if says is None:
        require_server(other, standby=standby)
        return
    with pytest.raises(SourceNotPrepared, match=says):
        require_server(other, standby=standby)
