"""Doctor, place by place: what is missing is named with its next step and its exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analytics_replica_tests.support.commands import Ended, call, call_on
from analytics_replica_tests.support.nights import write_project
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

CLUB = {
    "club.members": {"id": "keep", "email": "drop", "town": "keep"},
    "club.visits": {"id": "keep"},
}


@pytest.fixture
def club(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create schema club; create table club.visits (id int primary key)")
    production.execute("create table club.members (id int primary key, email text, town text)")
    made = pipeline(dict(CLUB))
    made.prepare()
    return made


def answers(ended: Ended) -> dict[str, tuple[str, str]]:
    """Question → (outcome, everything said about it)."""
    return {
        answer["about"]: (
            answer["outcome"],
            " ".join([*(f["says"] for f in answer["findings"]), answer["next"] or ""]),
        )
        for answer in ended.json["answers"]
    }


def doctor(pipeline: Pipeline, **instead: str) -> Ended:
    return call_on(pipeline, "doctor", "--json", **instead)


def test_a_file_that_is_wrong_is_the_only_answer(club: Pipeline) -> None:
    file = club.settings.file
    file.write_text(file.read_text().replace("gold:", "golden:"))
    ended = call("--config", str(file), "doctor", "--json")
    assert ended.code == 20
    assert list(answers(ended)) == ["replica.yaml is valid"]
    assert "unknown key `golden`" in answers(ended)["replica.yaml is valid"][1]


def test_columns_that_wait_for_a_decision_are_counted_and_stop_nothing(club: Pipeline) -> None:
    file = club.settings.file
    file.write_text(file.read_text() + "# decide: this\n# decide: and that\n")
    environ = club.settings.secrets.environ  # which writes the file anew
    file.write_text(file.read_text() + "# decide: this\n# decide: and that\n")
    ended = call("--config", str(file), "doctor", "--json", environ=environ)
    outcome, says = answers(ended)["every column is decided"]
    assert outcome == "PASS"
    assert "2 places say" in says


def test_a_key_that_is_too_short_is_told_and_not_shown(club: Pipeline) -> None:
    ended = doctor(club, MASKING_KEY="abcd")
    assert ended.code == 20
    assert answers(ended)["the masking keys can be read"][0] == "FAIL"
    assert "abcd" not in ended.out


def test_a_warehouse_that_does_not_answer_hides_its_other_answers(club: Pipeline) -> None:
    said = answers(doctor(club, WAREHOUSE_DSN="postgresql://loader@127.0.0.1:1/w"))
    assert said["the warehouse answers"][0] == "FAIL"
    assert said["we may build in the warehouse"][0] == "CANNOT_TELL"


def test_a_role_that_may_not_create_schemas_is_told_what_the_dba_runs(club: Pipeline) -> None:
    outcome, says = answers(doctor(club, WAREHOUSE_DSN=club.warehouse.dsn("analyst")))[
        "we may build in the warehouse"
    ]
    assert outcome == "FAIL"
    assert f'grant create on database "{club.warehouse.name}" to "analyst";' in says


def test_a_schema_that_belongs_to_somebody_else_is_named(club: Pipeline) -> None:
    club.warehouse.execute("create schema staging")
    outcome, says = answers(doctor(club))["we may build in the warehouse"]
    assert outcome == "FAIL"
    assert 'alter schema "staging" owner to "loader";' in says


def test_readers_without_a_role_are_named(club: Pipeline) -> None:
    club.changes["warehouse.analyst_role"] = "Our Analysts"
    outcome, says = answers(doctor(club))["the readers' roles exist"]
    assert outcome == "FAIL"
    assert 'create role "Our Analysts";' in says


def test_a_table_that_is_open_to_analysts_is_named(club: Pipeline) -> None:
    club.warehouse.execute("create table public.leak (id int); grant select on leak to public")
    about = "analysts can read what is published, and nothing else"
    outcome, says = answers(doctor(club))[about]
    assert outcome == "FAIL"
    assert "public.leak" in says


def test_a_dbt_source_that_staging_will_not_have_is_named(club: Pipeline) -> None:
    write_project(club.root / "dbt_project")
    del club.tables["club.visits"]
    outcome, says = answers(doctor(club))["the gold project reads what staging has"]
    assert outcome == "FAIL"
    assert "staging.visits" in says


def test_a_missing_dbt_project_is_told(club: Pipeline) -> None:
    outcome, says = answers(doctor(club))["dbt can parse the gold project"]
    assert outcome == "FAIL"
    assert "has no dbt_project.yml" in says


def test_programs_of_another_major_version_are_told(club: Pipeline, tmp_path: Path) -> None:
    for program in ("initdb", "pg_ctl", "postgres", "pg_basebackup", "pg_controldata"):
        (tmp_path / program).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.1'\n")
        (tmp_path / program).chmod(0o755)
    club.changes["source.postgres_bin"] = str(tmp_path)
    outcome, says = answers(doctor(club))["the first copy can be made"]
    assert outcome == "FAIL"
    assert "were found, only of 13" in says


def test_landing_that_cannot_be_written_is_told(club: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    club.changes["landing.url"] = str(tmp_path / "file" / "landing")
    assert answers(doctor(club))["landing can be written"][0] == "FAIL"


def test_dagster_without_a_home_is_told(club: Pipeline) -> None:
    said = answers(doctor(club))
    assert said["Dagster has a home"][0] == "FAIL"
    assert said["Dagster's database answers"][0] == "CANNOT_TELL"


def test_people_read_the_same_answers_as_lines(club: Pipeline) -> None:
    ended = call_on(club, "doctor")
    assert "  ok  replica.yaml is valid" in ended.out
    assert "  no  Dagster has a home\n" in ended.out
    assert "      next: " in ended.out
    assert ended.out.rstrip().endswith("First: dbt can parse the gold project")
