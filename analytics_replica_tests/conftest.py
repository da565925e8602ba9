"""Fixtures that every kind of test may use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

# Machines are shared, and the first call of a compiled loop compiles it: no example is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def server() -> Iterator[LocalServer]:
    """One real server for the session, ready for logical replication, with our roles."""
    with running_server() as started:
        admin = Database(started, "postgres")
        admin.execute("create role analytics_replica login replication")
        for role in ("loader", "analyst", "analytics_engineer"):
            admin.execute(f"create role {role} login")
        yield started


@pytest.fixture
def production(server: LocalServer) -> Iterator[Database]:
    """An empty production database."""
    with fresh_database(server, "production") as database:
        yield database


@pytest.fixture
def warehouse(server: LocalServer) -> Iterator[Database]:
    """An empty analytics database that the role `loader` owns, as the DBA would make it."""
    with fresh_database(server, "warehouse", owner="loader") as database:
        yield database


@pytest.fixture
def pipeline(production: Database, warehouse: Database) -> Iterator[Callable[..., Pipeline]]:
    """Makes a pipeline for these tables of production (schema.table → column rules)."""
    root = open_directory()
    yield lambda tables, **changes: Pipeline(root, production, warehouse, tables, changes=changes)
    shutil.rmtree(root, ignore_errors=True)
