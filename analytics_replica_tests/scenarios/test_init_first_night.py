"""A stranger's database: from `init` through doctor's steps to the first night, and the next one.

The schema is as awkward as PostgreSQL allows (support/awkward.py). Oracle: staging is compared
with production row by row.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from analytics_replica.postgres.binaries import find_binaries
from analytics_replica.postgres.connect import advisory_lock
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.settings.load import Settings, load_settings
from analytics_replica.settings.rules import Mask
from analytics_replica_tests.support.awkward import CHANGES, PERSONAL, ROWS, SCHEMA
from analytics_replica_tests.support.commands import Ended, call, run_program
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import KEY, ROLE, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database

pytestmark = pytest.mark.slow


@dataclass
class Own:
    """Somebody's own database on its way to the first night. `said` is doctor, step by step."""

    root: Path
    production: Database
    warehouse: Database
    dagster: Database
    said: dict[str, Ended] = field(default_factory=dict)

    def command(self, *arguments: str, **environ: str) -> Ended:
        """A command on this replica.yaml; secrets come from .env beside it."""
        # dbt keeps its first connection's settings for as long as its process lives
        how = run_program if arguments[0] in ("run", "check", "status") else call
        return how("--config", str(self.root / "replica.yaml"), *arguments, environ=environ)

    def ask_doctor(self, when: str) -> None:
        """Keeps what doctor says now."""
        self.said[when] = self.command("doctor", "--json")

    def missing(self, when: str) -> list[str]:
        """What doctor said was missing."""
        answers = self.said[when].json["answers"]
        return [answer["about"] for answer in answers if answer["outcome"] == "FAIL"]

    @property
    def settings(self) -> Settings:
        """The settings as every command loads them."""
        return load_settings(self.root / "replica.yaml", {})

    def fill_in(self) -> None:
        """What a person writes: .env from .env.example, and two lines of replica.yaml."""
        dagster = self.dagster.dsn().replace("postgresql://", "postgresql+psycopg2://")
        values = {
            "REPLICA_SOURCE_DSN": self.production.dsn(ROLE),
            "REPLICA_WAREHOUSE_DSN": self.warehouse.dsn("loader"),
            "REPLICA_MASKING_KEY_K1": KEY,
            "REPLICA_DAGSTER_PG_URL": dagster,
        }
        text = (self.root / ".env.example").read_text()
        for name, value in values.items():
            text = re.sub(rf"^{name}=.*$", f"{name}='{value}'", text, flags=re.MULTILINE)
        (self.root / ".env").write_text(text)
        # Slots belong to the server, which tests share; and nobody here waits for a checkpoint.
        file = self.root / "replica.yaml"
        own = f"slot: slot_{self.production.name}\n  copy_checkpoint: fast\n"
        file.write_text(file.read_text().replace("slot: analytics_replica\n", own))

    def run_script(self) -> None:
        """The DBA runs the printed script with psql."""
        script = self.root / "prepare.sql"
        assert self.command("source", "sql", "--output", str(script)).code == 0
        psql = str(find_binaries() / "psql")
        arguments = ["-v", "ON_ERROR_STOP=1", "-q", "-d", self.production.dsn(), "-f", str(script)]
        subprocess.run([psql, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def own(server: LocalServer) -> Iterator[Own]:
    """Production with its awkward schema; everything else still to be made."""
    root = open_directory()
    with (
        fresh_database(server, "production") as production,
        fresh_database(server, "warehouse", owner="loader") as warehouse,
        fresh_database(server, "dagster") as dagster,
    ):
        production.execute(SCHEMA)
        production.execute(ROWS)
        yield Own(root / "replica", production, warehouse, dagster)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def night(own: Own) -> Own:
    """The same after the journey to the first night, with doctor asked before each step."""
    written = call("init", "--from", own.production.dsn(), "--output", str(own.root))
    assert written.code == 0, written.err
    own.ask_doctor("after init")
    own.fill_in()
    own.ask_doctor("after .env")
    own.run_script()
    own.ask_doctor("after the DBA")
    captured = own.command("capture")
    assert captured.code == 0, captured.err
    own.ask_doctor("after the first copy")
    ran = own.command("run")
    assert ran.code == 0, ran.err
    own.ask_doctor("after the first night")
    return own


def test_doctor_says_step_by_step_what_is_missing_until_the_first_night_ran(night: Own) -> None:
    first = "the environment is complete"
    assert (night.said["after init"].code, night.missing("after init")[0]) == (20, first)
    assert night.said["after .env"].code == 32
    assert night.missing("after .env")[:2] == [
        "the publication exists",
        "the slot is ours and free",
    ]
    assert night.said["after the DBA"].code == 71
    assert night.missing("after the DBA") == [
        "the first copy is landed",
        "staging is filled",
        "an edition is published",
    ]
    assert night.missing("after the first copy") == ["staging is filled", "an edition is published"]
    assert night.said["after the first night"].code == 0, night.said["after the first night"].out


def test_every_answer_of_doctor_that_is_missing_names_the_next_step(night: Own) -> None:
    for ended in night.said.values():
        for answer in ended.json["answers"]:
            assert answer["outcome"] != "FAIL" or answer["next"], answer


def test_after_the_first_night_staging_is_production_through_the_masks(night: Own) -> None:
    assert differences(night.production, night.warehouse, night.settings) == {}


def test_tables_that_production_could_not_publish_are_left_out_and_still_take_writes(
    night: Own,
) -> None:
    listed = {str(table) for table in night.settings.tables}
    assert "crm.without_key" not in listed
    text = (night.root / "replica.yaml").read_text()
    assert "# decide: left out, because nothing identifies its rows" in text
    assert "  # crm.without_key:" in text


def test_tables_that_log_whole_rows_are_published_whole_and_their_secrets_emptied(
    night: Own,
) -> None:
    rules = {str(table): rules for table, rules in night.settings.tables.items()}
    assert rules["crm.whole_rows"].columns["token"] == Mask(mask="null")
    assert "crm.heap" in rules


def test_analysts_read_one_row_for_each_table_and_nothing_else(night: Own) -> None:
    with night.warehouse.session("analyst") as cursor:
        cursor.execute("select table_name, row_count from analytics.rpt_tables order by 1")
        names = [name for name, _ in cursor.fetchall()]
    assert sorted(night.settings.staging_name(t) for t in night.settings.tables) == names


def test_no_personal_value_stands_in_a_file_outside_production(night: Own) -> None:
    for file in night.root.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not [v for v in PERSONAL if v.encode() in data], file


def test_the_next_night_brings_changes_of_keys_truncates_and_moves_between_partitions(
    night: Own,
) -> None:
    night.production.execute(CHANGES)
    ran = night.command("run", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["ready"] is True
    assert differences(night.production, night.warehouse, night.settings) == {}


def test_status_says_how_the_night_stands_and_how_fresh_everything_is(night: Own) -> None:
    ended = night.command("status", "--json")
    assert ended.code == 0, ended.out + ended.err
    state = ended.json
    assert state["verdict"] in ("READY", "ON_TRACK")  # by the time of day
    assert state["troubles"] == []
    assert state["landing_position"] == state["staging_position"] == state["published_position"]
    assert all(
        state[key] for key in ("last_capture", "data_as_of", "published_edition", "deadline")
    )


def test_every_check_stands_after_a_night(night: Own) -> None:
    ended = night.command("check", "--json")
    assert ended.code == 0, ended.out
    assert {check["state"] for check in ended.json["checks"]} <= {"passed", "warned"}


def test_a_failed_check_ends_with_72_and_is_named(night: Own) -> None:
    table = night.warehouse.scalar("select edition from serving.edition_state where is_published")
    rows = f"insert into {table}.rpt_tables select * from {table}.rpt_tables limit 1"
    night.warehouse.execute(rows)
    try:
        ended = night.command("check")
    finally:
        night.warehouse.execute(
            f"delete from {table}.rpt_tables where ctid in (select max(ctid) from "
            f"{table}.rpt_tables group by table_name having count(*) > 1)"
        )
    assert ended.code == 72
    assert "unique_rpt_tables_table_name" in ended.err


def test_a_run_while_another_runs_stops_with_70_and_publishes_nothing(night: Own) -> None:
    before = night.warehouse.rows("select * from serving.history")
    with advisory_lock(night.warehouse.dsn("loader"), "nightly chain"):
        ended = night.command("run")
    assert ended.code == 70, ended.err
    assert "nightly chain runs already" in ended.err
    assert night.warehouse.rows("select * from serving.history") == before


def test_a_warehouse_that_is_down_stops_the_night_with_61_and_readers_keep_yesterday(
    night: Own,
) -> None:
    before = night.warehouse.rows("select * from serving.history")
    down = "postgresql://loader@127.0.0.1:1/warehouse"
    ended = night.command("run", REPLICA_WAREHOUSE_DSN=down)
    assert ended.code == 61, ended.err
    assert "127.0.0.1:1/warehouse" in ended.err
    assert night.warehouse.rows("select * from serving.history") == before


def test_init_never_replaces_a_file(night: Own) -> None:
    before = (night.root / "replica.yaml").read_bytes()
    ended = call("init", "--from", night.production.dsn(), "--output", str(night.root))
    assert ended.code == 20
    assert "is there already" in ended.err
    assert (night.root / "replica.yaml").read_bytes() == before
