"""Nights that fail in every layer, and the bytes that they leave outside of production.

PostgreSQL, dbt and Dagster are real; a planted value is searched for in what processes print, in
Dagster's database and files, in dbt's target and in landing's neighbourhood.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import psycopg2
import pytest

from analytics_replica.errors import ProgramFault, WarehouseError
from analytics_replica.orchestration.assets import raw, staging
from analytics_replica.orchestration.nightly import run_capture, run_nightly
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.commands import Ended, run_program, start
from analytics_replica_tests.support.nights import DAGSTER_YAML, House, house
from analytics_replica_tests.support.searched import files_with, rows_with

pytestmark = pytest.mark.slow

SECRET = "Zyx-9f27c1-planted"
"""A town, which is kept: what follows must not repeat it where only errors could bring it."""

BROKEN = """
{{ config(materialized='table') }}
select cast(town as integer) as town_number from {{ source('staging', 'members') }}
"""
CHATTY = """
{{ config(materialized='table') }}
{% if execute %}
    {% for row in run_query("select town from staging.members") %}
        {{ log(row[0], info=true) }}{{ print(row[0]) }}
    {% endfor %}
{% endif %}
select 1 as said
"""
NEVER = "select id, town from {{ ref('base_club__members') }} where town is not null"
"""A test of gold that fails: it selects the rows that hold the value."""


@pytest.fixture(scope="module")
def club(server: LocalServer) -> Iterator[House]:
    """A house whose dbt project has a failing cast and a failing test."""
    with house(server) as made:
        home = made.root / "dagster_home"
        home.mkdir()
        (home / "dagster.yaml").write_text(DAGSTER_YAML)
        made.production.execute("update club.members set town = %s where id = 2", (SECRET,))
        project = made.root / "dbt_project"
        (project / "models/base/town_numbers.sql").write_text(BROKEN)
        (project / "models/base/chatty.sql").write_text(CHATTY)
        (project / "tests").mkdir()
        (project / "tests/nobody_has_a_town.sql").write_text(NEVER)
        yield made


def test_a_failing_build_names_model_and_sqlstate_and_nothing_it_leaves_quotes_a_row(
    club: House,
) -> None:
    environ = _environ(club)
    ended = run_program("--config", str(club.settings.file), "run", environ=environ)
    assert ended.code == WarehouseError.exit_code, ended.err
    assert "town_numbers (psycopg2.errors.InvalidTextRepresentation (SQLSTATE 22P02))" in ended.err
    _require_silence(club, ended)


def test_the_same_holds_when_dagster_starts_the_run_and_keeps_each_steps_output(
    club: House,
) -> None:
    ended = _dagster(club, "job", "execute", "-m", "analytics_replica.definitions", "-j", "nightly")
    assert ended.code != 0
    kept = [file for file in (club.root / "dagster_home").rglob("*") if file.suffix == ".err"]
    assert any(file.stat().st_size for file in kept), "Dagster kept no output"
    assert "22P02" in ended.err + ended.out
    _require_silence(club, ended)


def test_a_driver_that_quotes_a_row_in_a_step_is_rebuilt_in_all_that_dagster_stores(
    club: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        with club.warehouse.session() as cursor:
            cursor.execute("create temporary table t (email text unique)")
            try:
                cursor.execute("insert into t values (%s), (%s)", (SECRET, SECRET))
            except psycopg2.Error as cause:
                raise ValueError(f"cannot write {SECRET}") from cause

    monkeypatch.setattr(raw, "capture", refused)
    with club.instance() as instance:
        report = run_capture(club.definitions(), instance)
    assert isinstance(report.error, ProgramFault)
    assert "ValueError in analytics_replica/orchestration/assets/raw.py" in report.error.what
    stored = _failures(club)
    assert "psycopg2.errors.UniqueViolation (SQLSTATE 23505)" in stored
    _require_silence(club, Ended(0, "", ""))


def test_rows_that_break_a_constraint_of_staging_are_not_quoted(club: House) -> None:
    run_program("--config", str(club.settings.file), "run", environ=_environ(club))
    club.warehouse.execute("create unique index one_each on staging.members (town)")
    club.production.execute("update club.members set town = %s", (SECRET,))
    ended = run_program("--config", str(club.settings.file), "run", environ=_environ(club))
    club.warehouse.execute("drop index staging.one_each")
    assert ended.code != 0
    assert "23505" in ended.err or rows_with("23505", club.warehouse), "nothing was refused"
    _require_silence(club, ended)


def test_an_error_while_an_error_is_handled_brings_neither(
    club: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(*_: object, **__: object) -> None:
        try:
            int(SECRET)
        except ValueError:
            {}[SECRET]  # type: ignore[index]

    monkeypatch.setattr(raw, "capture", lambda *_, **__: None)
    monkeypatch.setattr(staging, "apply_pending", twice)
    with club.instance() as instance:
        assert run_nightly(club.definitions(), instance).error is not None
    _require_silence(club, Ended(0, "", ""))


def _require_silence(club: House, ended: Ended) -> None:
    assert SECRET not in ended.out
    assert SECRET not in ended.err
    assert rows_with(SECRET, club.dagster) == []
    # Landing and staging hold the town, for it is kept.
    beside = [path for path in club.root.iterdir() if path.name != "landing"]
    assert files_with(SECRET, *beside) == []


def _failures(club: House) -> str:
    told = club.dagster.rows(
        "select event from event_logs where dagster_event_type = 'STEP_FAILURE'"
    )
    return "\n".join(event for (event,) in told)


def _environ(club: House) -> dict[str, str]:
    url = club.dagster.dsn().replace("postgresql://", "postgresql+psycopg2://")
    settings = club.settings
    return {
        **settings.secrets.environ,
        "DAGSTER_HOME": str(club.root / "dagster_home"),
        "TEST_DAGSTER_PG_URL": url,
        "REPLICA_CONFIG": str(settings.file),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def _dagster(club: House, *arguments: str) -> Ended:
    process = start([sys.executable, "-m", "dagster", *arguments], _environ(club))
    out, err = process.communicate(timeout=300)
    return Ended(process.returncode, out, err)
