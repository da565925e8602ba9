"""base/, intermediate/ and gold/<model>: what dbt builds into the edition that nobody reads.

Here: the assets of the dbt project. Not here: how dbt runs (dbt_runs.py), names in the graph
(translator.py), publishing (ready.py). A build makes the whole edition whichever models were
selected: an edition of several nights must not exist. Checks alone judge what was built last.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject, dbt_assets

from analytics_replica.orchestration import keys
from analytics_replica.orchestration.dbt_events import Event
from analytics_replica.orchestration.dbt_runs import DbtRuns
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.resources import ChainResource, OfflineDbt, ReplicaResource
from analytics_replica.orchestration.translator import ReplicaTranslator


def gold_assets(
    project: DbtProject, manifest: dict[str, Any], translator: ReplicaTranslator
) -> dg.AssetsDefinition:
    """One asset for each dbt model, all built by one step."""

    @dbt_assets(
        manifest=manifest, project=project, dagster_dbt_translator=translator, name=keys.GOLD_STEP
    )
    def build_gold(
        context: dg.AssetExecutionContext,
        replica: ReplicaResource,
        chain: ChainResource,
        dbt: OfflineDbt,
    ) -> Iterator[Event]:
        with explained(context):
            models = build_gold.keys
            runs = DbtRuns(context, replica, dbt, project, manifest, translator, models)
            if context.selected_asset_keys:
                chain.hold()
                yield from runs.build()
            else:
                yield from runs.check()

    return build_gold
