"""The demo's servers: started, found, started again after a crash, stopped, removed."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import yaml
from dotenv import dotenv_values

from analytics_replica.demo.server import DemoServers
from analytics_replica.errors import DemoError


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServers]:
    # Not tmp_path: its parents are closed to the account that PostgreSQL runs under.
    base = Path(tempfile.mkdtemp(prefix="ar-demo-"))
    base.chmod(0o711)
    servers = DemoServers(base / "demo", log_statement="all")
    try:
        servers.up()
        yield servers
    finally:
        servers.reset()
        shutil.rmtree(base)


def ask(dsn: str, question: str) -> object:
    with psycopg2.connect(dsn) as opened, opened.cursor() as cursor:
        cursor.execute(question)
        (answer,) = cursor.fetchone() or (None,)
        return answer


def test_a_second_up_finds_all_running_and_starts_nothing(demo: DemoServers) -> None:
    assert demo.is_up()
    assert demo.up() == ()
    assert DemoServers(demo.root).up() == ()


def test_the_environment_leads_to_every_server_under_the_right_role(demo: DemoServers) -> None:
    environment = demo.environment()
    who = "select current_user || ' in ' || current_database()"
    assert ask(environment["REPLICA_WAREHOUSE_DSN"], who) == "loader in warehouse"
    dagster = environment["REPLICA_DAGSTER_PG_URL"].replace("+psycopg2", "")
    assert ask(dagster, who) == "dagster in dagster"
    assert ask(demo.production_admin_dsn, who) == "postgres in shop"
    assert ask(demo.production_admin_dsn, "show wal_level") == "logical"
    assert "//analytics_replica@/shop?" in environment["REPLICA_SOURCE_DSN"]
    assert len(bytes.fromhex(environment["REPLICA_MASKING_KEY_K1"])) == 32
    assert environment == demo.environment()


def test_analysts_may_log_in_but_own_nothing(demo: DemoServers) -> None:
    for role in ("analyst", "analytics_engineer"):
        dsn = demo.warehouse_admin_dsn.replace("//postgres@", f"//{role}@")
        assert ask(dsn, "select has_database_privilege(current_database(), 'create')") is False
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'warehouse'"
    assert ask(demo.warehouse_admin_dsn, owner) == "loader"


def test_the_environment_file_is_private_and_reads_back(demo: DemoServers) -> None:
    file = demo.write_environment_file()
    assert file.stat().st_mode & 0o777 == 0o600
    assert dict(dotenv_values(file)) == demo.environment()


def test_dagsters_home_names_the_storage_by_its_variable(demo: DemoServers) -> None:
    home = Path(demo.environment()["DAGSTER_HOME"])
    written = yaml.safe_load((home / "dagster.yaml").read_text())
    assert home.is_absolute()
    assert written["storage"]["postgres"]["postgres_url"] == {"env": "REPLICA_DAGSTER_PG_URL"}
    assert written["concurrency"]["pools"] == {"default_limit": 1, "granularity": "op"}
    assert written["telemetry"] == {"enabled": False}


def test_production_logs_statements_if_asked_to(demo: DemoServers) -> None:
    ask(demo.production_admin_dsn, "select 'a statement to be logged'")
    assert "a statement to be logged" in demo.production_log.read_text()


def test_only_unix_sockets_in_private_directories_are_open(demo: DemoServers) -> None:
    assert ask(demo.production_admin_dsn, "show listen_addresses") == ""
    assert demo.production_server.socket_dir.stat().st_mode & 0o077 == 0


def test_tools_that_need_tcp_get_a_free_loopback_port_that_stays(demo: DemoServers) -> None:
    ports = demo.listen()
    environment = demo.environment()
    for name, database in (("production", "shop"), ("warehouse", "warehouse")):
        dsn = f"postgresql://postgres@127.0.0.1:{ports[name]}/{database}"
        assert ask(dsn, "show listen_addresses") == "127.0.0.1"
    assert ask(environment["REPLICA_WAREHOUSE_DSN"], "select current_user::text") == "loader"
    dagster = environment["REPLICA_DAGSTER_PG_URL"].replace("+psycopg2", "")
    assert ask(dagster, "select current_user::text") == "dagster"
    assert DemoServers(demo.root).listen() == ports
    demo.down()
    DemoServers(demo.root).up()
    assert len(set(ports.values())) == 3


def test_productions_side_is_told_from_the_rest(demo: DemoServers) -> None:
    outside = {path.name for path in demo.folder.outside_production()}
    assert {"warehouse", "dagster", "dagster_home"} <= outside
    assert "production" not in outside


def test_a_killed_server_is_started_again_with_its_data(demo: DemoServers) -> None:
    ask(demo.production_admin_dsn, "create table kept as select 1 as x; select 1")
    pid_file = demo.production_server.data_dir / "postmaster.pid"
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    time.sleep(1)
    assert not demo.is_up()
    assert demo.up() == ("production",)
    assert ask(demo.production_admin_dsn, "select count(*) from kept") == 1


def test_a_process_number_that_now_belongs_to_another_process_does_not_fool_us(
    demo: DemoServers,
) -> None:
    demo.down()
    pid_file = demo.production_server.data_dir / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n1\n5432\n/nowhere\n\n  1 1\nready\n")
    assert not demo.is_up()
    assert demo.up() == ("production", "warehouse", "dagster")
    assert ask(demo.production_admin_dsn, "select 1") == 1


def test_programs_of_another_major_version_are_refused_before_they_touch_the_data(
    demo: DemoServers,
) -> None:
    demo.down()
    version = demo.production_server.data_dir / "PG_VERSION"
    right = version.read_text()
    version.write_text("12\n")
    with pytest.raises(DemoError, match="PostgreSQL 12"):
        demo.up()
    version.write_text(right)
    assert demo.up() == ("production", "warehouse", "dagster")


def test_a_folder_with_other_things_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for attempt in (DemoServers(tmp_path).up, DemoServers(tmp_path).reset):
        with pytest.raises(DemoError, match="not a demo's folder"):
            attempt()
    assert (tmp_path / "thesis.txt").exists()


def test_down_and_reset_of_a_demo_that_never_was_do_nothing(tmp_path: Path) -> None:
    DemoServers(tmp_path / "none").down()
    DemoServers(tmp_path / "none").reset()
    assert not (tmp_path / "none").exists()


def test_reset_leaves_nothing_behind() -> None:
    base = Path(tempfile.mkdtemp(prefix="ar-demo-"))  # 0700: as root, data then live elsewhere
    demo = DemoServers(base / "demo")
    demo.up()
    places = [s.resolve() for s in (demo.production_server.data_dir,)]
    places.append(demo.production_server.socket_dir)
    assert all(place.exists() for place in places)
    demo.reset()
    assert not any(place.exists() for place in places)
    assert list(base.iterdir()) == []
    base.rmdir()
