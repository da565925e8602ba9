"""The composition root: settings once, then the whole code location.

Here: putting the graph together. Not here: any part of it (orchestration). Importing this module
reads nothing; Dagster calls `definitions`, tests call `build_definitions` with their own settings.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import dagster as dg

from analytics_replica.domain.clock import Clock, SystemClock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.orchestration import freshness, jobs, sensors
from analytics_replica.orchestration.assets.gold import gold_assets
from analytics_replica.orchestration.assets.raw import raw_assets
from analytics_replica.orchestration.assets.ready import ready_asset
from analytics_replica.orchestration.assets.staging import staging_assets
from analytics_replica.orchestration.checks.gold import gold_checks
from analytics_replica.orchestration.checks.raw import raw_checks
from analytics_replica.orchestration.checks.staging import staging_checks
from analytics_replica.orchestration.outlook import models_of
from analytics_replica.orchestration.project import gold_project, read_manifest
from analytics_replica.orchestration.resources import Replica, chain_resource, offline_dbt
from analytics_replica.orchestration.retention import retention_job, retention_schedule
from analytics_replica.orchestration.translator import ReplicaTranslator
from analytics_replica.postgres.firewall import only_our_errors
from analytics_replica.postgres.process import protect_process
from analytics_replica.settings.load import Settings, load_settings

CONFIG_VARIABLE: Final = "REPLICA_CONFIG"
DEFAULT_CONFIG: Final = Path("replica.yaml")


@dg.definitions
def definitions() -> dg.Definitions:
    """The code location of REPLICA_CONFIG, else of ./replica.yaml."""
    protect_process()
    with only_our_errors():
        file = Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
        return build_definitions(load_settings(file, os.environ))


def build_definitions(
    settings: Settings, clock: Clock | None = None, progress: Progress = SILENT
) -> dg.Definitions:
    """The whole code location for these settings.

    Parses the dbt project if its manifest is missing or stale (4 s); connects to nothing.
    SettingsInvalid if deadlines, dbt project or models cannot work.
    """
    clock = clock or SystemClock()
    deadlines = settings.replica.deadlines
    today = clock.now().astimezone(deadlines.tz).date()
    deadline = freshness.nightly_deadline(deadlines, today)
    project = gold_project(settings)
    manifest = read_manifest(project)
    translator = ReplicaTranslator(deadlines, settings.replica.warehouse.staging_schema, today)
    gold = gold_assets(project, manifest, translator)
    checks = [
        raw_checks(settings),
        staging_checks(settings),
        gold_checks(project, manifest, translator),
    ]
    blocking = [spec.key for made in (*checks, gold) for spec in made.check_specs if spec.blocking]
    ready = ready_asset(gold, manifest, blocking, freshness.by_deadline(deadline, today))
    nightly, capture = jobs.nightly_job(), jobs.capture_job()
    return dg.Definitions(
        assets=[raw_assets(settings), staging_assets(settings), gold, ready],
        asset_checks=checks,
        jobs=[nightly, capture, jobs.checks_job(), retention_job],
        schedules=[*jobs.schedules(settings, nightly, capture), retention_schedule(settings)],
        sensors=sensors.all_sensors(deadline, models_of(gold.specs)),
        resources={
            "replica": Replica(settings, clock, progress),
            "chain": chain_resource(settings),
            "dbt": offline_dbt(project),
        },
        # A process for each step would cost 4 s each to load; steps follow each other anyway.
        executor=dg.in_process_executor,
    )
