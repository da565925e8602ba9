"""A disk that is full under an apply: the warehouse's, its log's, or the one that DuckDB spills to.

Oracle: every row and every definition of the warehouse as PostgreSQL prints them. The disks are
real and small.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from analytics_replica.errors import (
    DemoError,
    LandingBroken,
    LandingError,
    LandingFull,
    WarehouseUnreachable,
)
from analytics_replica.landing.layout import Store
from analytics_replica.postgres.identifiers import compose, literal, number
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.warehouse import StatementRefused, transaction
from analytics_replica.staging.workbench import workbench
from analytics_replica_tests.support.drawings import Row
from analytics_replica_tests.support.landed import PEOPLE, Landing
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.points import NOW
from analytics_replica_tests.support.rich import (
    World,
    everything,
    left_over,
    rich_landing,
    world_of,
)
from analytics_replica_tests.support.servers import (
    SETTINGS,
    Database,
    fresh_database,
    running_server,
)
from analytics_replica_tests.support.small_disk import SmallDisk, small_disk

PAGE = 8192


@pytest.fixture
def world(tmp_path: Path, warehouse: Database) -> World:
    return world_of(rich_landing(tmp_path, warehouse), warehouse)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk("32m") as mounted:
        yield mounted


@contextmanager
def tablespace(server: LocalServer, disk: SmallDisk) -> Iterator[str]:
    """A tablespace on the disk; its databases must be gone when the block ends."""
    data = disk.path / "data"
    data.mkdir()
    server.own(data)
    postgres = Database(server, "postgres")
    postgres.alone(f"create tablespace small location '{data}'")
    try:
        yield "small"
    finally:
        postgres.alone("drop tablespace small")


@pytest.mark.parametrize("pages", [0, 3, 10, 20])
def test_a_warehouse_whose_disk_is_full_is_told_as_that_and_keeps_its_state(
    world: World, disk: SmallDisk, pages: int
) -> None:
    server = world.model.server
    with tablespace(server, disk) as name, world.warehouse() as warehouse:
        moved = f"alter database {warehouse.name} set tablespace {name}"
        Database(server, "postgres").alone(moved)
        warehouse.scalar("select 1")  # the first session writes what later ones only read
        disk.fill(spare_bytes=pages * PAGE)
        with pytest.raises(StatementRefused, match="its disk is full") as told:
            apply_pending(world.settings(warehouse), NOW)
        assert "Free space on the warehouse's disk" in told.value.next
        eventually(lambda: not left_over(warehouse))
        assert everything(warehouse) == world.before
        disk.free()
        assert world.heals(warehouse)


@pytest.fixture
def server_with_a_small_log() -> Iterator[tuple[LocalServer, SmallDisk]]:
    """A server whose write-ahead log is on a disk of its own."""
    with running_server() as server, small_disk("64m") as disk:
        Database(server, "postgres").execute("create role loader login")
        server.stop()
        log = server.data_dir / "pg_wal"
        shutil.copytree(log, disk.path / "pg_wal")
        server.own(disk.path)
        shutil.rmtree(log)
        log.symlink_to(disk.path / "pg_wal")
        server.start(SETTINGS)
        yield server, disk
        server.stop("immediate")


@pytest.mark.slow
def test_a_warehouse_whose_log_finds_no_space_goes_down_and_the_next_apply_ends(
    server_with_a_small_log: tuple[LocalServer, SmallDisk], tmp_path: Path
) -> None:
    server, disk = server_with_a_small_log
    with fresh_database(server, "warehouse", owner="loader") as warehouse:
        landing = rich_landing(tmp_path, warehouse)
        before = everything(warehouse)
        disk.fill()
        use_up_the_log(warehouse)
        with pytest.raises(WarehouseUnreachable):
            landing.apply(warehouse)
        disk.free()
        eventually(lambda: is_up_again(warehouse), seconds=120)
        assert everything(warehouse) == before
        assert landing.apply(warehouse).batches == 3


def is_up_again(warehouse: Database) -> bool:
    """True if the server answers; starts it if it went down for good, as it may do."""
    try:
        warehouse.server.start(SETTINGS)
        warehouse.scalar("select 1")
    except (DemoError, psycopg2.OperationalError):
        return False
    return True


def use_up_the_log(warehouse: Database) -> None:
    """Writes to the log until less than 128 kB of its last file are left."""
    left = """
    select s.size * (select count(*) from pg_ls_waldir() w
                     where w.name ~ '^[0-9A-F]{24}$' and w.name >= pg_walfile_name(l))
           - (l - '0/0') % s.size
    from (select pg_current_wal_insert_lsn() as l,
                 pg_size_bytes(current_setting('wal_segment_size')) as size) s
    """
    message = "select pg_logical_emit_message(false, 'test', repeat('x', 65536))"
    while warehouse.scalar(left) > 2**17:
        warehouse.execute(message)


MEMORY = 24 * 2**20
ROWS = 150_000


def test_a_disk_that_is_full_where_duckdb_spills_is_told_as_that(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE,))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo | one"})
    landing.apply(warehouse)
    before = everything(warehouse)
    landing.stream_rows("0/200", {PEOPLE: [_long_row(n) for n in range(ROWS)]})
    with small_disk("1m") as disk:
        landing.limits = {"memory_mb": 64, "spill_directory": str(disk.path)}
        with pytest.raises(LandingFull) as told:
            landing.apply(warehouse)
        assert "temporary disk" in told.value.what
        eventually(lambda: not left_over(warehouse))
        assert everything(warehouse) == before
        assert list(disk.path.iterdir()) == []
    landing.limits = {}
    assert landing.apply(warehouse).batches == 1
    assert warehouse.scalar("select count(*) from staging.people") == ROWS


def _long_row(n: int) -> Row:
    text = random.Random(n).randbytes(400).hex()
    return {"lsn": "0/110", "op": "update", "id": str(n), "city": text, "bio": "x"}


def test_a_disk_that_others_fill_while_duckdb_spills_is_told_as_that(disk: SmallDisk) -> None:
    rows = "create or replace temp table t as select repeat(md5(range::text), 10) from range({n})"
    with workbench(
        Store(str(disk.path)), memory_limit_bytes=MEMORY, spill_directory=disk.path
    ) as b:
        b.execute(compose(rows, n=number(80_000)))  # it knows now how much is free
        disk.fill()
        with pytest.raises(LandingFull, match="temporary disk"):
            b.execute(compose(rows, n=number(400_000)))


@pytest.mark.parametrize(
    ("error", "told"),
    [("Out of Memory Error", LandingFull), ("Secretville", LandingBroken)],
)
def test_rows_that_cannot_be_computed_while_they_are_loaded_are_not_a_broken_connection(
    tmp_path: Path, warehouse: Database, error: str, told: type[LandingError]
) -> None:
    warehouse.execute("create table t (n bigint); alter table t owner to loader")
    query = "select case when range = 99999 then error({error})::bigint else range end as n"
    rows = compose(f"{query} from range(100000)", error=literal(error))
    with (
        pytest.raises(told) as refused,
        workbench(Store(str(tmp_path))) as bench,
        transaction(warehouse.dsn("loader")) as within,
    ):
        within.load(bench.reader(rows), "t", "public")
    assert "Secretville" not in str(refused.value)
    assert warehouse.scalar("select count(*) from t") == 0
