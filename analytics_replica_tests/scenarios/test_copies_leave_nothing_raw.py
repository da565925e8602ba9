"""A base backup holds raw data: where it is, who may read it, and that nothing of it stays.

Judged by searching every byte on disk for values that were planted in production.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import CopyFailed
from analytics_replica.landing.manifest import manifests
from analytics_replica.landing.resync import resync
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.source import base_backup
from analytics_replica_tests.support.killed import Reached, killed_at
from analytics_replica_tests.support.pipeline import Columns, Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, running_server

BASE_BACKUP = base_backup.STEP
PLANTED = "planted-raw-value"
PEOPLE: dict[str, Columns] = {
    "public.people": {"id": "keep", "email": {"mask": "token", "domain": "e"}}
}


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create table people (id int primary key, email text)")
    production.execute(
        f"insert into people select n, '{PLANTED}-' || n from generate_series(1, 3000) n"
    )
    made = pipeline(PEOPLE)
    made.prepare()
    return made


def holding_raw(directory: Path) -> list[Path]:
    """Every file below that holds a planted value."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return [path for path in files if PLANTED.encode() in path.read_bytes()]


def servers_in(directory: Path) -> list[str]:
    """The command lines of processes that work in this directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(directory) in line and "postgres" in line:
            found.append(line)
    return found


@pytest.mark.parametrize("point", [BASE_BACKUP, "copied a part", "manifest"])
def test_a_kill_during_the_first_copy_leaves_nothing_raw_after_the_next_start(
    people: Pipeline, point: str
) -> None:
    _killed_while_copying(people, point)
    assert holding_raw(people.root / "copy")
    assert people.landed("public.people") == []
    people.capture()
    _nothing_is_left(people)
    assert len(people.landed("public.people")) == 3000


@pytest.mark.parametrize("point", [BASE_BACKUP, "copied a part", "proposed"])
def test_a_kill_during_a_resync_leaves_nothing_raw_after_the_next_start_of_any_capture(
    people: Pipeline, point: str
) -> None:
    people.capture()
    before = [manifest.sequence for manifest in _batches(people)]
    again = [TableName("public", "people")]
    _killed_while_copying(
        people, point, lambda **o: resync(people.settings, SystemClock(), again, **o)
    )
    assert [manifest.sequence for manifest in _batches(people)] == before
    people.capture()
    _nothing_is_left(people)
    assert not list((people.root / "landing" / "copies").iterdir())


def test_the_base_backup_is_private_and_ours_alone_while_it_is_there(people: Pipeline) -> None:
    modes = set()

    def look(point: str) -> None:
        if point == "copied a part":
            backup = (people.root / "copy" / "base_backup").resolve()
            modes.add(backup.stat().st_mode & 0o777)
            assert holding_raw(backup)

    people.capture(reached=look)
    assert modes == {0o700}
    _nothing_is_left(people)


def test_a_copy_that_fails_leaves_nothing_raw(people: Pipeline) -> None:
    def fail(point: str) -> None:
        raise OSError(point)

    with pytest.raises(OSError, match="copied a part"):
        people.capture(reached=fail)
    _nothing_is_left(people)


def test_a_base_backup_that_is_read_by_a_living_process_is_not_removed(people: Pipeline) -> None:
    removed = []

    def look(point: str) -> None:
        if point == "copied a part":
            removed.append(base_backup.remove_left_over(people.root / "copy"))

    people.capture(reached=look)
    assert removed == [False]
    assert len(people.landed("public.people")) == 3000


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    root = open_directory()
    place = root / "tablespace"
    place.mkdir(mode=0o700)
    yield place
    shutil.rmtree(root)


def test_tablespaces_of_production_are_refused_before_anything_is_written(
    elsewhere: Path, warehouse: Database
) -> None:
    with running_server() as server:
        server.own(elsewhere)
        production = Database(server, "postgres")
        production.execute("create role analytics_replica login replication")
        _outside_of_a_transaction(production, f"create tablespace far location '{elsewhere}'")
        production.execute(
            "create table people (id int primary key, email text) tablespace far; "
            f"insert into people values (1, '{PLANTED}')"
        )
        root = open_directory()
        made = Pipeline(root, production, warehouse, PEOPLE)
        made.prepare()
        before = _everything_in(elsewhere)
        with pytest.raises(CopyFailed, match="production has tablespaces of its own"):
            made.capture()
        assert _everything_in(elsewhere) == before
        assert not (root / "copy" / "base_backup").exists()
        assert holding_raw(root) == []


def _killed_while_copying(
    pipeline: Pipeline, point: str, run: Callable[..., object] | None = None
) -> None:
    run = run or pipeline.capture
    production = pipeline.production
    oid = production.scalar("select oid from pg_database where datname = current_database()")
    files = pipeline.root / "copy" / "base_backup" / "base" / str(oid)

    def work(reached: Reached) -> None:
        def progress(step: str, done: int, total: int | None) -> None:
            del done, total
            if point == step == BASE_BACKUP and holding_raw(files):
                reached(point)

        run(progress=progress, reached=reached)

    killed_at(point, work)


def _nothing_is_left(pipeline: Pipeline) -> None:
    assert holding_raw(pipeline.root) == []
    assert not (pipeline.root / "copy" / "base_backup").exists()
    assert servers_in(pipeline.root / "copy") == []


def _batches(pipeline: Pipeline) -> list[Manifest]:
    return list(manifests(pipeline.store))


def _everything_in(directory: Path) -> list[str]:
    return sorted(
        str(Path(folder, name))
        for folder, folders, files in os.walk(directory)
        for name in (*folders, *files)
    )


def _outside_of_a_transaction(database: Database, statement: str) -> None:
    opened = psycopg2.connect(database.dsn())
    opened.autocommit = True
    with opened.cursor() as cursor:
        cursor.execute(statement)
    opened.close()


def test_the_recovered_servers_log_is_inside_its_private_directory_and_gone_with_it(
    people: Pipeline,
) -> None:
    log: list[Path] = []

    def fail_in_it(point: str) -> None:
        if point != "copied a part" or log:
            return
        data = (people.root / "copy" / base_backup.BACKUP).resolve()
        copy = LocalServer(Path(), people.root / "copy" / base_backup.BACKUP)
        with (
            psycopg2.connect(copy.dsn(people.production.name)) as opened,
            opened.cursor() as cursor,
            pytest.raises(psycopg2.Error),
        ):
            cursor.execute("select email::integer from people")
        log.append(data / "server.log")
        assert PLANTED in log[0].read_text()
        assert data.stat().st_mode & 0o077 == 0

    people.capture(reached=fail_in_it)
    assert log
    assert not log[0].exists()
    _nothing_is_left(people)
