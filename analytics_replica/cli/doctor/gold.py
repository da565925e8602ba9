"""The dbt project's questions: dbt can parse it, and it reads the tables that staging will have.

Here: the project's files against replica.yaml; no database is asked. Not here: building (dbt).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from analytics_replica.cli.doctor.answers import fine, missing, unknown
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import ReplicaError, SettingsInvalid
from analytics_replica.settings.load import Settings
from analytics_replica.source.preflight import failed

PARSES: Final = "dbt can parse the gold project"
SOURCES: Final = "the gold project reads what staging has"
HAS_GOLD: Final = "there is something to publish"


def gold(settings: Settings) -> Iterator[Verdict]:
    """The answers, in order; CANNOT_TELL for what an unreadable project hides."""
    # Dagster's dbt package takes 3 s to import (2026-11-21); only commands that need it pay.
    from analytics_replica.orchestration.project import (  # noqa: PLC0415
        gold_project,
        read_manifest,
    )

    try:
        manifest = read_manifest(gold_project(settings))
    except ReplicaError as cause:
        yield failed(PARSES, cause)
        yield unknown(SOURCES, "dbt could not parse the project")
        yield unknown(HAS_GOLD, "dbt could not parse the project")
        return
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    yield fine(PARSES, models=len(models))
    yield _sources(settings, manifest)
    yield _published(models)


def _sources(settings: Settings, manifest: Mapping[str, Any]) -> Verdict:
    schema = settings.replica.warehouse.staging_schema
    read = {
        source.get("identifier") or source["name"]
        for source in manifest["sources"].values()
        if source["schema"] == schema
    }
    held = {settings.staging_name(table) for table in settings.tables}
    absent = sorted(read - held)
    if absent:
        return missing(
            SOURCES,
            SettingsInvalid,
            [
                f"the project reads {schema}.{name}, which replica.yaml does not list"
                for name in absent
            ],
            "Add the table to replica.yaml, or remove its source and what reads it from dbt.",
        )
    return fine(SOURCES, sources=len(read), unused_tables=len(held - read))


def _published(models: list[Mapping[str, Any]]) -> Verdict:
    gold_models = [model for model in models if model["fqn"][1:2] == ["gold"]]
    if gold_models:
        return fine(HAS_GOLD, gold_models=len(gold_models))
    return missing(
        HAS_GOLD,
        SettingsInvalid,
        ["the project has no model below models/gold"],
        "Write one: analysts see what is in models/gold and nothing else.",
    )
