"""Wrong input and wrong worlds: a clear error, its own exit code, and nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.source.replication import SourceConnection
from analytics_replica_tests.support.commands import Ended, call, call_on, program, start
from analytics_replica_tests.support.pipeline import ROLE, Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

PEOPLE = {"public.people": {"id": "keep", "email": {"mask": "token", "domain": "e"}}}


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create table people (id int primary key, email text)")
    production.execute("insert into people values (1, 'ada@example.org'), (2, null)")
    return pipeline(PEOPLE)


@pytest.fixture
def prepared(people: Pipeline) -> Pipeline:
    people.prepare()
    return people


def told(ended: Ended, code: int, *says: str) -> None:
    """It ended with this code, said what, why and next, and no value of a row."""
    assert ended.code == code, ended.err
    assert ended.out == ""
    for label in ("what  ", "why  ", "next  "):
        assert label in ended.err
    for words in says:
        assert words in ended.err
    assert "ada@example.org" not in ended.err


def captured(pipeline: Pipeline) -> None:
    """One capture, after which the server has heard what was confirmed."""
    assert call_on(pipeline, "capture").code == 0
    held = "select active_pid is not null from pg_replication_slots where slot_name = %s"
    while pipeline.production.scalar(held, (pipeline.slot,)):
        time.sleep(0.02)


@contextmanager
def unchanged(pipeline: Pipeline) -> Iterator[None]:
    """Landing's files, the slot's position and the warehouse's tables stay as they are.

    But for definitions, which are nothing as long as no manifest names them.
    """
    before = _world(pipeline)
    yield
    assert _world(pipeline) == before


def _world(pipeline: Pipeline) -> Any:
    landing = pipeline.root / "landing"
    files = sorted(
        str(p)
        for p in landing.rglob("*")
        if p.is_file() and p.name != "capture.lock" and p.parent.name != "definitions"
    )
    slots = pipeline.production.rows(
        "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = %s",
        (pipeline.slot,),
    )
    tables = pipeline.warehouse.rows(
        "select relnamespace::regnamespace::text, relname from pg_class "
        "where relkind in ('r', 'v') and relnamespace <> 'pg_catalog'::regnamespace "
        "and relnamespace <> 'information_schema'::regnamespace order by 1, 2"
    )
    return files, slots, tables


def test_an_unknown_key_in_replica_yaml_is_named_with_its_line_and_the_nearest_valid_key(
    prepared: Pipeline,
) -> None:
    file = prepared.settings.file
    file.write_text(file.read_text().replace("active_key:", "activ_key:"))
    with unchanged(prepared):
        ended = call("--config", str(file), "capture", environ={"SOURCE_DSN": "x"})
    told(ended, 20, "replica.yaml line", "`masking.activ_key`", "Did you mean `active_key`?")


def test_a_table_in_the_policy_that_production_lacks_is_named(
    prepared: Pipeline,
) -> None:
    prepared.tables = {**PEOPLE, "public.invoices": {"id": "keep"}}
    with unchanged(prepared):
        told(call_on(prepared, "capture"), 32, "public.invoices")


def test_a_table_that_vanished_from_production_is_named_by_the_first_copy(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create schema old; create table old.people (id int primary key)")
    made = pipeline({"old.people": {"id": "keep", "email": "keep"}})
    production.execute("alter table old.people add email text")
    made.prepare()
    production.execute("alter publication analytics_replica set table old.people")
    production.execute("alter table old.people drop column email")
    with unchanged(made):
        ended = call_on(made, "capture")
    assert ended.code in (32, 40), ended.err
    assert "old.people.email" in ended.err


def test_a_column_that_nobody_classified_is_named(prepared: Pipeline) -> None:
    prepared.production.execute("alter table people add shoe_size int")
    with unchanged(prepared):
        told(call_on(prepared, "capture"), 40, "public.people.shoe_size", "keep, drop or")


def test_a_dsn_that_leads_nowhere_is_told_without_its_password(prepared: Pipeline) -> None:
    wrong = "postgresql://me:geheim@127.0.0.1:1/shop"
    with unchanged(prepared):
        ended = call_on(prepared, "capture", SOURCE_DSN=wrong)
    told(ended, 31, "127.0.0.1:1/shop as me")
    assert "geheim" not in ended.err


def test_a_dsn_that_is_none_is_told_without_quoting_it(prepared: Pipeline) -> None:
    with unchanged(prepared):
        ended = call_on(prepared, "capture", SOURCE_DSN="postgres//me:geheim@shop/db")
    assert ended.code in (20, 31), ended.err
    assert "geheim" not in ended.err


def test_a_missing_variable_is_named(prepared: Pipeline) -> None:
    with unchanged(prepared):
        told(call_on(prepared, "capture", SOURCE_DSN=""), 20, "SOURCE_DSN is not set")


def test_a_production_without_wal_level_logical_is_told(warehouse: Database) -> None:
    root = open_directory()
    with running_server({"wal_level": "replica"}) as server, fresh_database(server, "p") as shop:
        shop.execute(f"create role {ROLE} login replication")
        shop.execute("create table people (id int primary key, email text)")
        made = Pipeline(root, shop, warehouse, dict(PEOPLE))
        with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
            made.prepare()
        with unchanged(made):
            told(call_on(made, "capture"), 32, "wal_level is replica, not logical")
    shutil.rmtree(root)


def test_a_missing_publication_is_named(prepared: Pipeline) -> None:
    prepared.production.execute("drop publication analytics_replica")
    with unchanged(prepared):
        told(call_on(prepared, "capture"), 32, "publication analytics_replica does not exist")


def test_a_missing_slot_is_named(prepared: Pipeline) -> None:
    prepared.production.execute(f"select pg_drop_replication_slot('{prepared.slot}')")
    with unchanged(prepared):
        told(call_on(prepared, "capture"), 32, f"slot {prepared.slot} does not exist")


def test_a_role_without_the_replication_right_is_told(prepared: Pipeline) -> None:
    no_right = prepared.production.dsn("analyst")
    with unchanged(prepared):
        told(call_on(prepared, "capture", SOURCE_DSN=no_right), 32, "no REPLICATION right")


def test_a_slot_that_another_process_reads_is_left_alone(prepared: Pipeline) -> None:
    with SourceConnection(prepared.production.dsn(ROLE)) as other:
        other.start(prepared.slot, ("analytics_replica",), Lsn(0), 180000)
        with unchanged(prepared):
            told(call_on(prepared, "capture"), 33, f"Slot {prepared.slot} is being read by")
    assert call_on(prepared, "capture").code == 0


def test_a_second_capture_while_one_runs_stops_at_once(prepared: Pipeline) -> None:
    captured(prepared)
    with prepared.store.one_writer(), unchanged(prepared):
        told(call_on(prepared, "capture"), 70, "Another capture writes to this landing")


def test_a_full_disk_ends_the_capture_and_nothing_is_lost(prepared: Pipeline) -> None:
    captured(prepared)
    prepared.production.execute(
        "insert into people select n, md5(n::text) || md5((-n)::text) "
        "from generate_series(10, 20000) n"
    )
    with unchanged(prepared):
        ended = _capture_on_a_small_disk(prepared)
    told(ended, 51, "The disk is full", "the slot was not confirmed")
    assert call_on(prepared, "capture").code == 0
    assert len(prepared.landed("public.people")) == 2 + 19991


def _capture_on_a_small_disk(pipeline: Pipeline) -> Ended:
    """Runs the program where unfinished files lie on a file system of 64 KB.

    In a mount namespace of its own, which needs no root; where even that is forbidden, with a
    limit on the size of files, which the system reports in another way.
    """
    settings = pipeline.settings
    unfinished = pipeline.root / "landing" / "unfinished"
    unfinished.mkdir(exist_ok=True)
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    small = f"mount -t tmpfs -o size=64k tmpfs {unfinished}"
    if not _works([*namespace, "sh", "-c", small]):
        namespace, small = [], "ulimit -f 64"
    run = program("--config", str(settings.file), "capture")
    command = [*namespace, "sh", "-c", f'{small} && exec "$@"', "sh", *run]
    process = start(command, settings.secrets.environ)
    out, err = process.communicate(timeout=120)
    return Ended(process.returncode, out, err)


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_a_directory_without_replica_yaml_is_told_what_to_do(tmp_path: Path) -> None:
    ended = call("--config", str(tmp_path / "replica.yaml"), "capture")
    told(ended, 20, "cannot be read", "analytics-replica init")
