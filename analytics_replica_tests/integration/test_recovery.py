"""One command brings capture back after a lost slot or a damaged landing; staging stays readable.

Oracles: PostgreSQL compares staging with production; pg_replication_slots says what is kept.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg2
import psycopg2.extras
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.errors import LandingBroken, SlotBusy, SourceNotPrepared
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.layout import manifest_path
from analytics_replica.landing.manifest import last_manifest, sequences
from analytics_replica.landing.recovery import recover
from analytics_replica.source.recreate import create_slot
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.commands import ROOT, call_on
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.guarded import lose
from analytics_replica_tests.support.pipeline import ROLE, Columns, Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

TABLES: dict[str, Columns] = {"public.t": {"id": "keep", "note": {"mask": "token", "domain": "n"}}}


@pytest.fixture(scope="module")
def limited() -> Iterator[Database]:
    """A production that keeps at most 128 MB of log for a slot."""
    with running_server({"max_slot_wal_keep_size": "128MB"}) as server:
        database = Database(server, "postgres")
        for role in (f"{ROLE} login replication", "loader login"):
            database.execute(f"create role {role}")
        yield database


@pytest.fixture
def made(limited: Database) -> Iterator[Pipeline]:
    """A pipeline on that production whose staging holds two rows."""
    root = open_directory()
    with (
        fresh_database(limited.server, "production") as production,
        fresh_database(limited.server, "warehouse", owner="loader") as warehouse,
    ):
        production.execute("create table t (id int primary key, note text)")
        production.execute("insert into t values (1, 'one'), (2, 'two')")
        made = Pipeline(root, production, warehouse, TABLES)
        made.prepare()
        made.capture()
        apply(made)
        yield made
        shutil.rmtree(root, ignore_errors=True)


def apply(made: Pipeline) -> None:
    apply_pending(made.settings, SystemClock())


def staged(made: Pipeline) -> list[int]:
    return [row[0] for row in made.warehouse.rows("select id from staging.t order by 1")]


def slots(made: Pipeline) -> list[tuple[str, str]]:
    return made.production.rows(
        "select slot_name::text, wal_status from pg_replication_slots where database = %s",
        (made.production.name,),
    )


def test_a_lost_slot_is_recovered_by_one_command_and_staging_is_readable_all_the_time(
    made: Pipeline,
) -> None:
    made.production.execute("delete from t where id = 1; insert into t values (3, 'three')")
    lose(made, 10)
    refused = call_on(made, "capture")
    assert (refused.code, "analytics-replica recover" in refused.err) == (34, True)
    with reading(made) as seen:
        recovered = call_on(made, "recover", "--json")
        assert recovered.code == 0, recovered.err
    assert seen == {(1, 2)}
    assert "lost already (wal_removed)" in recovered.json["given_up"]
    assert slots(made) == [(made.slot, "reserved")]
    made.production.execute("insert into t values (4, 'four')")
    assert call_on(made, "capture").code == 0
    with reading(made) as seen:
        apply(made)
    assert seen <= {(1, 2), (2, 3, 4)}
    assert staged(made) == [2, 3, 4]
    assert differences(made.production, made.warehouse, made.settings) == {}


class reading:  # noqa: N801 - reads as a sentence
    """Reads staging again and again in the block; gives the different states that were seen."""

    def __init__(self, made: Pipeline) -> None:
        self.made, self.over = made, threading.Event()
        self.seen: set[tuple[int, ...]] = set()
        self.thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self.over.is_set():
            self.seen.add(tuple(staged(self.made)))

    def __enter__(self) -> set[tuple[int, ...]]:
        self.thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        assert self.seen


def test_the_runbooks_kill_switch_stops_everything_and_recovery_follows(made: Pipeline) -> None:
    page = (ROOT / "docs" / "runbooks" / "slot-is-growing.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sql\n-- kill switch[^\n]*\n(.*?)```", page, re.DOTALL)
    assert "'analytics_replica'" in block
    held = SourceHeld(made)  # a capture that is reading, and will not stop by itself
    opened = psycopg2.connect(made.production.dsn())
    opened.autocommit = True
    with opened.cursor() as cursor:
        for statement in filter(str.strip, block.split(";")):
            cursor.execute(statement.replace("'analytics_replica'", f"'{made.slot}'"))
    opened.close()
    held.close()
    assert slots(made) == []
    made.production.execute("insert into t values (5, 'five')")
    assert call_on(made, "capture").code == 34
    assert staged(made) == [1, 2]
    assert call_on(made, "recover").code == 0
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}


class SourceHeld:
    """A reader of the slot."""

    def __init__(self, made: Pipeline) -> None:
        self.connection = psycopg2.connect(
            made.production.dsn(ROLE),
            connection_factory=psycopg2.extras.LogicalReplicationConnection,
        )
        cursor = self.connection.cursor()
        cursor.start_replication(
            slot_name=made.slot,
            options={"proto_version": "1", "publication_names": "analytics_replica"},
            decode=False,
        )
        while not made.production.scalar(
            "select active from pg_replication_slots where slot_name = %s", (made.slot,)
        ):
            time.sleep(0.01)

    def close(self) -> None:
        self.connection.close()


def newest_cut(made: Pipeline) -> None:
    file = made.root / "landing" / manifest_path(sequences(made.store)[-1])
    file.write_bytes(file.read_bytes()[:-40])


def one_in_the_middle_removed(made: Pipeline) -> None:
    (made.root / "landing" / manifest_path(sequences(made.store)[-2])).unlink()


def older_state(made: Pipeline) -> None:
    for sequence in sequences(made.store)[-2:]:
        (made.root / "landing" / manifest_path(sequence)).unlink()


def all_of_landing(made: Pipeline) -> None:
    shutil.rmtree(made.root / "landing")


@pytest.mark.parametrize(
    "damage", [newest_cut, one_in_the_middle_removed, older_state, all_of_landing]
)
def test_whatever_is_left_of_landing_recovery_ends_with_staging_like_production(
    made: Pipeline, damage: Callable[[Pipeline], None]
) -> None:
    for number in (10, 11, 12):
        made.production.execute("insert into t values (%s, 'more')", (number,))
        made.capture()
    apply(made)
    damage(made)
    made.production.execute("delete from t where id = 11; update t set note = 'new' where id = 10")
    assert call_on(made, "recover").code == 0
    assert check_contiguity(made.store, files=True).passed
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}
    made.production.execute("insert into t values (13, 'after')")
    assert call_on(made, "capture").code == 0
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}


def test_a_number_that_staging_has_applied_does_not_come_a_second_time(made: Pipeline) -> None:
    made.capture()
    made.production.rows("select pg_log_standby_snapshot()")
    made.production.execute("checkpoint")
    made.capture()  # a batch of silence, so that going on without it loses nothing of landing's
    apply(made)
    (made.root / "landing" / manifest_path(sequences(made.store)[-1])).unlink()
    made.production.execute("insert into t values (20, 'same number')")
    assert call_on(made, "capture").code == 0
    with pytest.raises(LandingBroken, match="has another batch"):
        apply(made)
    assert call_on(made, "recover").code == 0
    apply(made)
    assert differences(made.production, made.warehouse, made.settings) == {}


def test_a_slot_that_is_fine_is_kept_unless_its_loss_is_asked_for_and_agreed_to(
    made: Pipeline,
) -> None:
    before = made.production.rows("select slot_name, restart_lsn::text from pg_replication_slots")
    asked: list[object] = []

    def refuse(of: object) -> bool:
        return bool(asked.append(of))  # type: ignore[func-returns-value]

    with pytest.raises(SlotBusy, match="was not agreed to"):
        recover(
            made.settings,
            SystemClock(),
            replace_slot=True,
            agreed=refuse,
        )
    assert "bytes of log it keeps" in str(asked[0])
    assert before == made.production.rows(
        "select slot_name, restart_lsn::text from pg_replication_slots"
    )
    kept = recover(made.settings, SystemClock())
    assert (kept.given_up, kept.slot_made_at) == (None, None)
    replaced = call_on(made, "recover", "--replace-slot", "--yes", "--json")
    assert replaced.code == 0
    assert made.slot in replaced.json["given_up"]


def test_a_slot_that_is_not_ours_or_is_being_read_is_never_dropped(made: Pipeline) -> None:
    held = SourceHeld(made)
    assert call_on(made, "recover", "--replace-slot", "--yes").code == 33
    held.close()
    made.slot = f"{made.slot}_foreign"
    made.production.rows(
        "select pg_create_logical_replication_slot(%s, 'test_decoding')", (made.slot,)
    )
    ended = call_on(made, "recover", "--replace-slot", "--yes")
    assert (ended.code, "test_decoding" in ended.err) == (32, True)
    assert (made.slot, "reserved") in slots(made)


def test_what_else_is_not_prepared_is_told_before_the_slot_is_dropped(made: Pipeline) -> None:
    lose(made, 10)
    made.production.execute("drop publication analytics_replica")
    with pytest.raises(SourceNotPrepared, match="publication analytics_replica does not exist"):
        recover(made.settings, SystemClock())
    assert slots(made) == [(made.slot, "lost")]


def test_a_slot_that_waits_for_an_open_transaction_says_so_and_leaves_nothing_behind(
    made: Pipeline,
) -> None:
    told: list[str] = []
    opened = psycopg2.connect(made.production.dsn())
    with opened.cursor() as cursor:
        cursor.execute("insert into t values (30, 'open')")
        pid = opened.info.backend_pid
        with pytest.raises(SlotBusy, match=f"must wait for server process {pid}"):
            create_slot(
                made.production.dsn(ROLE),
                "waits",
                progress=lambda step, *_: told.append(step),
                patience=timedelta(seconds=1),
                first_wait=timedelta(milliseconds=200),
            )
        assert slots(made) == [(made.slot, "reserved")]
    assert told == [f"slot waits for server process {pid}"] * len(told)
    opened.close()
    create_slot(made.production.dsn(ROLE), "waits")
    assert ("waits", "reserved") in slots(made)


def test_recovery_refuses_another_server(made: Pipeline, production: Database) -> None:
    found = last_manifest(made.store)
    assert found is not None
    made.production = production
    ended = call_on(made, "recover")
    assert (ended.code, "another server" in ended.err) == (34, True)
    assert last_manifest(made.store) == found
