"""How we start dbt: a manifest that fits its files, no network, an environment put back."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import yaml

from analytics_replica.errors import SettingsInvalid
from analytics_replica.orchestration.environment import environment
from analytics_replica.orchestration.project import dbt_environment, gold_project, read_manifest
from analytics_replica.orchestration.resources import OfflineDbt
from analytics_replica.serving.editions import Edition
from analytics_replica.settings.load import Settings, load_settings
from analytics_replica_tests.support.nights import write_project
from analytics_replica_tests.support.pipeline import KEY as MASKING_KEY

DSN = "postgresql://loader:s3cret@warehouse.example:5433/analytics?sslmode=require"


def settings_at(root: Path, environ: dict[str, str] | None = None) -> Settings:
    body = {
        "source": {"dsn": {"env": "SOURCE"}, "copy_directory": "copy"},
        "masking": {"keys": {"k1": {"env": "KEY"}}, "active_key": "k1"},
        "tables": {"club.members": {"columns": {"id": "keep"}}},
        "landing": {"url": "landing"},
        "warehouse": {"dsn": {"env": "WAREHOUSE"}},
        "gold": {"project_dir": "dbt_project"},
    }
    file = root / "replica.yaml"
    file.write_text(yaml.safe_dump(body))
    return load_settings(file, environ or {})


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a project whose manifest was just made; no database is anywhere."""
    root = tmp_path_factory.mktemp("parsed")
    write_project(root / "dbt_project")
    settings = settings_at(root)
    gold_project(settings)
    return settings


def test_a_fresh_clone_gets_its_manifest_without_any_database(parsed: Settings) -> None:
    manifest = read_manifest(gold_project(parsed))
    assert "model.club_gold.member_fees" in manifest["nodes"]
    assert not (parsed.root / "dbt_project" / "logs").exists()


def test_a_manifest_that_fits_its_files_is_not_made_again(parsed: Settings) -> None:
    made = gold_project(parsed).manifest_path.stat().st_mtime_ns
    assert gold_project(parsed).manifest_path.stat().st_mtime_ns == made


def test_a_changed_model_is_noticed_without_dagsters_development_mode(parsed: Settings) -> None:
    model = parsed.root / "dbt_project/models/gold/member_fees.sql"
    model.write_text(model.read_text() + "\n-- changed")
    node = read_manifest(gold_project(parsed))["nodes"]["model.club_gold.member_fees"]
    assert node["raw_code"].endswith("-- changed")


def test_a_project_that_dbt_cannot_parse_is_refused_with_dbts_reason(tmp_path: Path) -> None:
    write_project(tmp_path / "dbt_project")
    (tmp_path / "dbt_project/models/gold/bad.sql").write_text("select * from {{ ref('nobody') }}")
    with pytest.raises(SettingsInvalid) as refused:
        gold_project(settings_at(tmp_path))
    assert "'nobody' which was not found" in refused.value.what


def test_dbt_gets_no_masking_key_and_no_dsn_of_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model could write any variable into gold, and dbt writes what it saw into its manifest."""
    write_project(tmp_path / "dbt_project")
    model = tmp_path / "dbt_project/models/gold/member_fees.sql"
    seen = "{{ config(meta={'seen': env_var('KEY', 'no') ~ env_var('SOURCE', 'no')}) }}"
    model.write_text(seen + model.read_text())
    monkeypatch.setenv("KEY", MASKING_KEY)
    monkeypatch.setenv("SOURCE", "postgresql://us:s3cret@production/shop")
    node = read_manifest(gold_project(settings_at(tmp_path)))["nodes"][
        "model.club_gold.member_fees"
    ]
    assert node["config"]["meta"]["seen"] == "nono"
    for written in (tmp_path / "dbt_project").rglob("*"):
        assert not written.is_file() or MASKING_KEY.encode() not in written.read_bytes()


def test_a_project_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        gold_project(settings_at(tmp_path))
    assert refused.value.what.endswith("has no dbt_project.yml.")


def test_packages_that_are_missing_are_named_and_not_downloaded(tmp_path: Path) -> None:
    write_project(tmp_path / "dbt_project")
    (tmp_path / "dbt_project/packages.yml").write_text("packages: []\n")
    with pytest.raises(SettingsInvalid) as refused:
        gold_project(settings_at(tmp_path))
    assert "dbt deps" in refused.value.next


def test_dbt_gets_the_warehouse_and_the_edition_by_its_environment(tmp_path: Path) -> None:
    settings = settings_at(tmp_path, {"WAREHOUSE": DSN})
    assert dbt_environment(settings, Edition.B) == {
        "REPLICA_STAGING_SCHEMA": "staging",
        "REPLICA_EDITION_SCHEMA": "gold_b",
        "REPLICA_BUSINESS_ZONE": "UTC",
        "REPLICA_WAREHOUSE_HOST": "warehouse.example",
        "REPLICA_WAREHOUSE_PORT": "5433",
        "REPLICA_WAREHOUSE_USER": "loader",
        "REPLICA_WAREHOUSE_PASSWORD": "s3cret",
        "REPLICA_WAREHOUSE_DBNAME": "analytics",
        "PGSSLMODE": "require",
    }


def test_the_environment_is_put_back_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICA_WAREHOUSE_HOST", "as it was")
    monkeypatch.delenv("REPLICA_WAREHOUSE_PORT", raising=False)
    inside = {"REPLICA_WAREHOUSE_HOST": "other", "REPLICA_WAREHOUSE_PORT": "1"}
    seen = []

    def interrupted() -> None:
        with environment(inside):
            seen.append(os.environ["REPLICA_WAREHOUSE_HOST"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == ["other"]
    assert os.environ["REPLICA_WAREHOUSE_HOST"] == "as it was"
    assert "REPLICA_WAREHOUSE_PORT" not in os.environ


def test_dbt_is_never_asked_for_its_version_which_would_go_to_the_network(
    parsed: Settings, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "dbt"
    real = Path(sys.executable).parent / "dbt"
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexec {real} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    project = gold_project(parsed)
    dbt = OfflineDbt(project_dir=str(project.project_dir), dbt_executable=str(program))
    dbt.cli(["list", "--quiet"], target_path=tmp_path / "target").wait()
    assert asked.read_text().splitlines() == ["list --quiet"]
