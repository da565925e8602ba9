"""What the warehouse's server writes to its log when statements fail: starts and stops, no value.

Judged by reading the logs of real servers. Production's log, which is production's own, shows that
the same failures would be there.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from analytics_replica.demo.server import DemoServers
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.architecture.repository import ROOT
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

SECRET = "ann.canary@example.com"
PAGE = ROOT / "docs" / "reference" / "errors-and-values.md"

FAILURES = (
    f"select '{SECRET}'::integer",
    f"create temporary table t (e text unique); insert into t values ('{SECRET}'), ('{SECRET}')",
    f"create temporary table t (e text check (length(e) < 3)); insert into t values ('{SECRET}')",
    f"do $$ begin raise exception 'not known: {SECRET}' using detail = '{SECRET}'; end $$",
    f"do $$ begin perform '{SECRET}'::date; end $$",
    f"set statement_timeout = '10ms'; select pg_sleep(5), '{SECRET}'",
)


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServers]:
    base = Path(tempfile.mkdtemp(prefix="ar-demo-"))
    base.chmod(0o711)
    servers = DemoServers(base / "demo")
    try:
        servers.up()
        yield servers
    finally:
        servers.reset()
        shutil.rmtree(base)


def test_the_demos_servers_outside_production_log_no_value_of_a_failed_statement(
    demo: DemoServers,
) -> None:
    environment = demo.environment()
    _fail(environment["REPLICA_WAREHOUSE_DSN"])
    _fail(environment["REPLICA_DAGSTER_PG_URL"].replace("+psycopg2", ""))
    _fail(demo.production_admin_dsn)
    assert SECRET in _log(demo.production_server)
    for name in ("warehouse", "dagster"):
        said = (demo.root / name / "postgresql").resolve().joinpath("server.log").read_text()
        assert "database system is ready" in said
        assert SECRET not in said


def test_what_the_page_gives_a_dba_keeps_values_out_of_any_warehouses_log() -> None:
    with running_server() as server:
        Database(server, "postgres").execute("create role loader login")
        with fresh_database(server, "warehouse", owner="loader") as warehouse:
            _fail(warehouse.dsn("loader"))
            before = _log(server)
            assert before.count(SECRET) >= len(FAILURES)
            recipe = re.findall(r"^alter role loader .*;$", PAGE.read_text(), re.MULTILINE)
            assert len(recipe) == 7
            warehouse.execute("\n".join(recipe))
            _fail(warehouse.dsn("loader"))
            assert _log(server)[len(before) :].count(SECRET) == 0


def _fail(dsn: str) -> None:
    for statement in FAILURES:
        with (
            contextlib.closing(psycopg2.connect(dsn)) as opened,
            opened.cursor() as cursor,
            pytest.raises(psycopg2.Error),
        ):
            cursor.execute(statement)


def _log(server: LocalServer) -> str:
    return (server.data_dir.resolve() / "server.log").read_text()
