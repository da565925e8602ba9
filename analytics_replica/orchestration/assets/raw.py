"""raw/<table>: what production committed, masked and landed.

Here: the assets of landing. Not here: capture itself (landing.capture). One capture reads the log
for every table, whichever of them were selected: the log has no table order.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from collections.abc import Iterator

import dagster as dg

from analytics_replica.landing.capture import capture
from analytics_replica.masking.policy import Policy
from analytics_replica.orchestration import freshness, keys, metadata
from analytics_replica.orchestration.assets.reporting import report
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.resources import ReplicaResource, capture_lock
from analytics_replica.orchestration.translator import PLATFORM
from analytics_replica.settings.load import Settings
from analytics_replica.staging.freshness import freshness_of, landing_evidence

RETRIES = dg.RetryPolicy(
    max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""Only for errors whose class says that a retry helps (failures.explained)."""


def raw_assets(settings: Settings) -> dg.AssetsDefinition:
    """One asset for each table, all made by one step that holds the replication slot."""

    @dg.multi_asset(
        name=keys.CAPTURE_STEP,
        specs=_specs(settings),
        can_subset=True,
        pool=keys.SLOT_POOL,
        retry_policy=RETRIES,
        description="Lands everything that production committed before now, then stops.",
    )
    def capture_log(
        context: dg.AssetExecutionContext, replica: ReplicaResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with explained(context), capture_lock(lambda: replica.warehouse_dsn, context.log):
            done = capture(replica.settings, replica.clock, progress=replica.progress)
            now = replica.clock.now()
            evidence = landing_evidence(replica.settings, now)
            fresh = {table: freshness_of(table, evidence) for table in settings.tables}
            yield from report(
                context,
                {
                    keys.raw(settings, table): {
                        **metadata.of_captured(done, table),
                        **metadata.of_freshness(found, found.captured, now),
                    }
                    for table, found in fresh.items()
                },
            )

    return capture_log


def _specs(settings: Settings) -> list[dg.AssetSpec]:
    policy = Policy.from_settings(settings)
    return [
        dg.AssetSpec(
            keys.raw(settings, table),
            description=f"Changes of {table} in production, in commit order, masked before they "
            "were first written.",
            group_name=keys.RAW,
            kinds={"postgres", "parquet"},
            owners=[PLATFORM],
            skippable=True,
            metadata=metadata.of_raw(settings, policy, table),
            freshness_policy=freshness.by_capture(settings.replica.deadlines),
        )
        for table in settings.tables
    ]
