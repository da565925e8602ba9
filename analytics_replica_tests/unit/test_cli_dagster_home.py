"""Dagster's home: each thing that may be wrong with it is named before Dagster starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.cli.dagster_home import dagster_home, storage_dsn
from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.load import Settings, load_settings

REPLICA = """
source: {dsn: {env: S}, copy_directory: copy}
masking: {keys: {k1: {env: K}}, active_key: k1}
tables: {"public.t": {columns: {id: keep}}}
landing: {url: landing}
warehouse: {dsn: {env: W}}
gold: {project_dir: dbt_project}
"""
POSTGRES = "storage: {postgres: {postgres_url: {env: DAGSTER_URL}}}\n"


def settings(root: Path, **environ: str) -> Settings:
    (root / "replica.yaml").write_text(REPLICA)
    return load_settings(root / "replica.yaml", environ)


def at_home(root: Path, dagster_yaml: str, **environ: str) -> Settings:
    (root / "dagster.yaml").write_text(dagster_yaml)
    return settings(root, DAGSTER_HOME=str(root), **environ)


@pytest.mark.parametrize(
    ("home", "says"),
    [
        ("", "is not set"),
        ("relative/home", "not an absolute path"),
        ("/nonexistent/home", "not a directory"),
        ("/usr", "has no dagster.yaml"),
    ],
)
def test_a_wrong_home_is_named_with_what_is_wrong(tmp_path: Path, home: str, says: str) -> None:
    with pytest.raises(SettingsInvalid, match=says):
        dagster_home(settings(tmp_path, DAGSTER_HOME=home))


def test_the_storage_is_found_through_the_variable_that_dagster_yaml_names(tmp_path: Path) -> None:
    known = at_home(tmp_path, POSTGRES, DAGSTER_URL="postgresql+psycopg2://d@h:5432/dagster")
    assert storage_dsn(known) == "postgresql://d@h:5432/dagster"


@pytest.mark.parametrize(
    ("dagster_yaml", "url", "says"),
    [
        (POSTGRES, "", "DAGSTER_URL is not set"),
        (POSTGRES, "postgresql://d@h/dagster", "names no driver"),
        ("storage: {sqlite: {base_dir: /tmp}}\n", "", "elsewhere than in PostgreSQL"),
        ("storage: [\n", "", "not valid YAML"),
    ],
)
def test_a_storage_that_would_not_work_is_told(
    tmp_path: Path, dagster_yaml: str, url: str, says: str
) -> None:
    with pytest.raises(SettingsInvalid, match=says):
        storage_dsn(at_home(tmp_path, dagster_yaml, DAGSTER_URL=url))
