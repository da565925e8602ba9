"""ready: tonight's edition is published.

Here: the terminal asset, which carries the promise of 04:00. Not here: publishing
(serving.publish), the gate (gate.py). It runs only after every model was built and every blocking
check passed; if it does not run, readers keep the last edition.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

import dagster as dg

from analytics_replica.orchestration import gate, keys, metadata
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.history import durations_of
from analytics_replica.orchestration.resources import ChainResource, Replica, ReplicaResource
from analytics_replica.orchestration.translator import PLATFORM
from analytics_replica.postgres.connect import connect
from analytics_replica.serving import as_of
from analytics_replica.serving.grants import apply_grants
from analytics_replica.serving.publish import publish
from analytics_replica.serving.views import views_of_manifest


def ready_asset(
    gold: dg.AssetsDefinition,
    manifest: Mapping[str, Any],
    blocking: Collection[dg.AssetCheckKey],
    promise: dg.FreshnessPolicy,
) -> dg.AssetsDefinition:
    """The marker after all of gold; `blocking` are the checks of every layer that must pass."""
    built = sorted(gold.keys)
    published = [key for key in built if key.path[0] == keys.GOLD]

    @dg.asset(
        key=keys.READY,
        deps=published or built,
        description="Tonight's edition of gold is what the views in schema analytics show.",
        group_name=keys.READY_STEP,
        kinds={"postgres", "view"},
        owners=[PLATFORM],
        freshness_policy=promise,
    )
    def ready(
        context: dg.AssetExecutionContext, replica: ReplicaResource, chain: ChainResource
    ) -> dg.MaterializeResult[None]:
        with explained(context):
            chain.hold()
            return _publish(context, replica, manifest, built, blocking)

    return ready


def _publish(
    context: dg.AssetExecutionContext,
    replica: Replica,
    manifest: Mapping[str, Any],
    built: Sequence[dg.AssetKey],
    blocking: Collection[dg.AssetCheckKey],
) -> dg.MaterializeResult[None]:
    began = time.monotonic()
    candidate = gate.require_whole(context.instance, built)
    checks = gate.require_passed(context.instance, blocking)
    warehouse = replica.settings.replica.warehouse
    with closing(connect(replica.warehouse_dsn, application="analytics-replica publish")) as conn:
        # Before the views change, so that nobody meets a view that he may not read yet.
        grants = apply_grants(
            conn,
            analyst=warehouse.analyst_role,
            engineer=warehouse.engineer_role,
            staging=warehouse.staging_schema,
            history=warehouse.history_schema,
        )
        done = publish(
            conn,
            candidate.edition,
            (*views_of_manifest(manifest), as_of.VIEW),
            position=candidate.position,
            actor="dagster",
            reason=f"run {context.run.run_id}",
            clock=replica.clock,
            checks=checks,
        )
    durations = durations_of(context.instance, context.run.run_id, built)
    durations[keys.READY_STEP] = time.monotonic() - began
    told = metadata.of_published(done, candidate.as_of, durations)
    return dg.MaterializeResult(metadata={**told, **checks, "grants": grants.summary()})
