"""The dbt project as files: its manifest, its environment, its target directories.

Here: making the manifest when it is missing or stale, what dbt finds in its environment, where it
writes. Not here: what the manifest means in the graph (translator.py). This module imports no
@dbt_assets, so `dagster-dbt project prepare-and-package` can use it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dagster_dbt import DbtProject
from dagster_dbt.compat import DBT_PYTHON_VERSION

from analytics_replica.errors import SettingsInvalid
from analytics_replica.orchestration.environment import environment
from analytics_replica.postgres.connect import parts_of
from analytics_replica.serving.editions import Edition
from analytics_replica.settings.load import Settings
from analytics_replica.settings.secrets import key_variables

TARGET: Final = "target"
_FINGERPRINT: Final = "manifest.sha256"
_PARTIAL_PARSE: Final = "partial_parse.msgpack"
_NOT_SOURCE: Final = frozenset({TARGET, "logs", ".git", "__pycache__"})
_SOURCES: Final = frozenset({".sql", ".yml", ".yaml", ".csv", ".md", ".py"})

_OTHER_PARTS: Final = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "passfile": "PGPASSFILE",
    "channel_binding": "PGCHANNELBINDING",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
"""Parts of a DSN that dbt's profile does not have; libpq reads them from the environment."""


def gold_project(settings: Settings) -> DbtProject:
    """The dbt project of these settings, with a manifest that fits its files and settings.

    SettingsInvalid if there is no project, if it needs `dbt deps`, or if dbt cannot parse it.
    Needs no database.
    """
    directory = settings.path(settings.replica.gold.project_dir)
    if not (directory / "dbt_project.yml").is_file():
        raise SettingsInvalid(
            what=f"{directory} has no dbt_project.yml.",
            why="Gold is built by a dbt project, which `gold.project_dir` in replica.yaml names.",
            next="Correct the path, or write a project with `analytics-replica init`.",
        )
    project = DbtProject(project_dir=directory, target_path=TARGET)
    _require_packages(project)
    target = directory / TARGET
    target.mkdir(exist_ok=True)
    with _alone(target):
        wanted = _fingerprint(directory, settings)
        known = target / _FINGERPRINT
        fits = known.is_file() and known.read_text(encoding="ascii") == wanted
        if not (fits and project.manifest_path.is_file()):
            values = dbt_environment(settings, Edition.A)
            _parse(project, values, kept_from_dbt(settings))
            known.write_text(wanted, encoding="ascii")
    return project


def read_manifest(project: DbtProject) -> dict[str, Any]:
    """The project's manifest.json."""
    manifest: dict[str, Any] = json.loads(project.manifest_path.read_bytes())
    return manifest


def dbt_environment(settings: Settings, edition: Edition) -> dict[str, str]:
    """What dbt finds in its environment: warehouse, staging's schema, edition, business zone.

    Without a DSN (CI that only parses) the project's own defaults stand.
    """
    schemas = {
        "REPLICA_STAGING_SCHEMA": settings.replica.warehouse.staging_schema,
        "REPLICA_EDITION_SCHEMA": edition.value,
        "REPLICA_BUSINESS_ZONE": settings.replica.deadlines.zone,
    }
    if not settings.secrets.environ.get(settings.replica.warehouse.dsn.env):
        return schemas
    parts = parts_of(settings.secrets.get(settings.replica.warehouse.dsn))
    known = ("host", "port", "user", "password", "dbname")
    profile = {f"REPLICA_WAREHOUSE_{key.upper()}": parts[key] for key in known if key in parts}
    libpq = {_OTHER_PARTS[key]: value for key, value in parts.items() if key in _OTHER_PARTS}
    return {**schemas, **profile, **libpq}


def kept_from_dbt(settings: Settings) -> frozenset[str]:
    """Variables that dbt does not get: masking keys, production's DSNs, alerts, landing's.

    A model can read every variable (`env_var`) and write it into gold, or into dbt's artifacts.
    """
    replica = settings.replica
    others = (
        replica.source.dsn,
        replica.source.physical_copy,
        *replica.alerts.channels.values(),
        *replica.landing.secrets.values(),
    )
    named = {variable.env for variable in others if variable is not None}
    return key_variables(replica.masking) | (named - {replica.warehouse.dsn.env})


def build_target(project: DbtProject, edition: Edition) -> Path:
    """Where builds of this edition write; the same every night, so that it never grows."""
    return project.project_dir / TARGET / "editions" / edition.value


@contextlib.contextmanager
def checks_target(project: DbtProject, edition: Edition, run_id: str) -> Iterator[Path]:
    """Where one run of the checks writes; removed afterwards.

    It starts from what the edition's build has parsed: dbt parses all again (3 s) if the edition
    in its environment is another one.
    """
    target = project.project_dir / TARGET / "checks" / run_id
    target.mkdir(parents=True, exist_ok=True)
    parsed = build_target(project, edition) / _PARTIAL_PARSE
    if parsed.is_file():
        shutil.copy(parsed, target / _PARTIAL_PARSE)
    try:
        yield target
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _require_packages(project: DbtProject) -> None:
    if project.has_uninstalled_deps:
        raise SettingsInvalid(
            what=f"{project.project_dir} needs dbt packages that are not installed.",
            why="We do not download anything by ourselves.",
            next=f"Run `dbt deps --project-dir {project.project_dir}` once.",
        )


def _fingerprint(directory: Path, settings: Settings) -> str:
    seen = hashlib.sha256(f"{DBT_PYTHON_VERSION}".encode())
    seen.update(settings.replica.warehouse.staging_schema.encode())
    seen.update(settings.replica.deadlines.zone.encode())
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name not in _NOT_SOURCE)
        for file in sorted(Path(folder, name) for name in names):
            if file.suffix in _SOURCES:
                seen.update(str(file.relative_to(directory)).encode())
                seen.update(file.read_bytes())
    return seen.hexdigest()


def _parse(project: DbtProject, values: Mapping[str, str], without: Collection[str]) -> None:
    # In this process: dbt is imported here anyway (dagster-dbt asks its adapter for columns), and
    # a second process would import it again, which takes 4 s.
    from dbt.cli.main import dbtRunner  # noqa: PLC0415 - 3 s that only a stale manifest costs

    directory = str(project.project_dir)
    where = ["--project-dir", directory, "--profiles-dir", str(project.profiles_dir)]
    target = [
        "--target-path",
        str(project.project_dir / TARGET),
        "--log-path",
        str(project.project_dir / TARGET),
    ]
    quiet = ["--quiet", "--log-level", "none", "--no-send-anonymous-usage-stats"]
    with environment(values, without):
        done = dbtRunner().invoke(["parse", *quiet, *where, *target])
    if not done.success:
        raise SettingsInvalid(
            what=f"dbt cannot parse {directory}: {_first_lines(done.exception)}.",
            why="Without its manifest nobody knows which gold models there are.",
            next=f"Run `dbt parse --project-dir {directory} --profiles-dir {directory}` and mend "
            "what it names.",
        )


def _first_lines(cause: BaseException | None) -> str:
    lines = [line.strip() for line in str(cause or "it gave no reason").splitlines()]
    return " ".join(line for line in lines if line)[:400].rstrip(".")


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Webserver, daemon and runs load the graph at once; one of them parses."""
    with (target / ".parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
