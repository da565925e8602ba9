"""A slot that we make is the one that the DBA's script would have made, in each version."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import DemoError, SourceNotPrepared
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.source.recreate import create_slot, drop_slot
from analytics_replica_tests.support.pipeline import ROLE
from analytics_replica_tests.support.servers import Database, running_server

SLOT = (
    "select plugin, slot_type, temporary, database, confirmed_flush_lsn::text "
    "from pg_replication_slots"
)


@pytest.fixture(scope="module", params=[18, 15])
def running(request: pytest.FixtureRequest) -> Iterator[Database]:
    try:
        programs = binaries_of(request.param)
    except DemoError as absent:
        pytest.skip(absent.what)
    with running_server(bin_dir=programs) as server:
        database = Database(server, "postgres")
        database.execute(f"create role {ROLE} login replication")
        yield database


def test_a_slot_is_made_and_dropped_with_no_right_but_replication(running: Database) -> None:
    position = create_slot(running.dsn(ROLE), "ours")
    assert running.rows(SLOT) == [("pgoutput", "logical", False, "postgres", str(position))]
    assert position > Lsn(0)
    drop_slot(running.dsn(ROLE), "ours")
    assert running.rows(SLOT) == []


def test_a_failover_slot_is_one_or_is_refused_before_production_has_them(
    running: Database,
) -> None:
    if running.scalar("show server_version_num") < "170000":
        with pytest.raises(SourceNotPrepared, match="no failover slots"):
            create_slot(running.dsn(ROLE), "ours", failover=True)
        assert running.rows(SLOT) == []
        return
    create_slot(running.dsn(ROLE), "ours", failover=True)
    assert running.scalar("select failover from pg_replication_slots") is True
    drop_slot(running.dsn(ROLE), "ours")
