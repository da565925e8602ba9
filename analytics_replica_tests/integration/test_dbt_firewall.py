"""What a failing dbt leaves behind: names, classes and SQLSTATEs, never a value of a row.

PostgreSQL and dbt are real; the value stands in a table that the models read.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster_dbt import DbtProject

from analytics_replica.orchestration.project import dbt_environment
from analytics_replica.orchestration.resources import offline_dbt
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.serving.editions import Edition
from analytics_replica_tests.support.nights import PROJECT, House, house
from analytics_replica_tests.support.searched import files_with

SECRET = "Zyx-9f27c1-planted"
"""In a column that is kept: dbt sees it as it is."""

USING = (
    "{{% if execute %}}{{% set found = run_query('select town from staging.members')"
    ".columns[0].values()[0] %}}{{{{ {} }}}}{{% endif %}} select town from staging.members"
)
"""A model that reads the value while it is compiled."""

MODELS = {
    "cast": "select cast(town as integer) as n from staging.members",
    "unique": "{{ config(materialized='table', indexes=[{'columns': ['town'], 'unique': true}]) }}"
    " select town from staging.members cross join generate_series(1, 2)",
    "hook": '{{ config(post_hook="do $$ begin perform town::date from staging.members; end $$") }}'
    " select 1 as n",
    "raised": USING.format("exceptions.raise_compiler_error('not known: ' ~ found)"),
    "python": USING.format("modules.datetime.datetime.strptime(found, '%Y')"),
    "checked": "select town from staging.members",
    "narrow": "select town from staging.members",
    "said": USING.format("log(found, info=true) }}{{ print(found) }}{{ exceptions.warn(found)"),
}
COLUMNS = {
    "checked": {
        "name": "town",
        "data_type": "text",
        "constraints": [{"type": "check", "expression": "length(town) < 3"}],
    },
    "narrow": {"name": "town", "data_type": "integer"},
    "said": {"name": "town", "data_tests": [{"accepted_values": {"arguments": {"values": ["A"]}}}]},
}
WHY = {
    "cast": "psycopg2.errors.InvalidTextRepresentation (SQLSTATE 22P02)",
    "unique": "psycopg2.errors.UniqueViolation (SQLSTATE 23505)",
    "hook": "psycopg2.errors.InvalidDatetimeFormat (SQLSTATE 22007)",
    "raised": "CompilationError",
    "python": "CompilationError",
    "checked": "psycopg2.errors.CheckViolation (SQLSTATE 23514)",
    "narrow": "contract broken: town is TEXT, not INTEGER",
}
MACROS_OWN = {"JinjaLogInfo", "JinjaLogWarning", "PrintEvent"}
"""What dbt calls `log`, `exceptions.warn` and `print` of a macro."""


@pytest.fixture(scope="module")
def club(server: LocalServer) -> Iterator[House]:
    with house(server) as made:
        made.warehouse.execute(
            "create schema staging authorization loader; create schema gold_a authorization loader;"
            f"create table staging.members as select text '{SECRET}' as town;"
            "grant select on staging.members to loader"
        )
        _write_project(made.root / "broken")
        yield made


def test_no_value_is_in_what_a_failing_dbt_prints_or_writes(club: House) -> None:
    said, results = _build(club)
    failed = {name: why for name, (status, why) in results.items() if status == "error"}
    assert failed.keys() == WHY.keys()
    for name, why in WHY.items():
        assert why in failed[name], name
    assert [status for name, (status, _) in results.items() if "accepted" in name] == ["fail"]
    # What a model's own macros print comes through the pipe; dbt_runs.py lets none of it out.
    lines = [json.loads(line) for line in said.splitlines() if SECRET in line]
    assert {line["info"]["name"] for line in lines} == MACROS_OWN
    assert files_with(SECRET, club.root / "broken") == []


def _build(club: House) -> tuple[str, Mapping[str, tuple[str, str]]]:
    folder = club.root / "broken"
    dbt = offline_dbt(DbtProject(project_dir=folder, target_path="target"))
    command = [dbt.dbt_executable, *dbt.global_config_flags, "build"]
    paths = {"DBT_TARGET_PATH": str(folder / "target"), "DBT_LOG_PATH": str(folder / "target")}
    environ = {
        **os.environ,
        **dbt_environment(club.settings, Edition.A),
        **paths,
        "DBT_PROFILES_DIR": str(folder),
        "DBT_LOG_FORMAT": "json",
    }
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads((folder / "target/run_results.json").read_text())[
        "results"
    ]
    results = {r["unique_id"].split(".")[2]: (r["status"], str(r["message"])) for r in found}
    return done.stdout + done.stderr, results


def _write_project(folder: Path) -> None:
    models = folder / "models"
    models.mkdir(parents=True)
    project = {**PROJECT, "models": {"club_gold": {"+materialized": "table"}}}
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(project))
    repository = Path(__file__).resolve().parents[2]
    profiles = (repository / "dbt_project/profiles.yml").read_text()
    (folder / "profiles.yml").write_text(profiles)
    for name, sql in MODELS.items():
        (models / f"{name}.sql").write_text(sql)
    described = [
        {
            "name": name,
            "columns": [column],
            "config": {"contract": {"enforced": name != "said"}},
        }
        for name, column in COLUMNS.items()
    ]
    (models / "_models.yml").write_text(yaml.safe_dump({"models": described}))
