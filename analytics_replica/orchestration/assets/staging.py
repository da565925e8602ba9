"""staging/<table>: production's tables, masked, at one instant.

Here: the assets of staging. Not here: the apply (staging.apply). One apply brings every table to
the same position in one transaction, whichever of them were selected: a staging of several
instants would be no state that production ever had.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from collections.abc import Iterator

import dagster as dg

from analytics_replica.masking.policy import Policy
from analytics_replica.orchestration import freshness, keys, metadata
from analytics_replica.orchestration.assets.reporting import report
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.resources import ChainResource, ReplicaResource
from analytics_replica.orchestration.translator import PLATFORM
from analytics_replica.postgres.connect import connection
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.freshness import freshness_of, landing_evidence, with_ledger


def staging_assets(settings: Settings) -> dg.AssetsDefinition:
    """One asset for each table, all made by one step and one transaction."""

    @dg.multi_asset(
        name=keys.APPLY_STEP,
        specs=_specs(settings),
        can_subset=True,
        description="Brings all of staging to the last landed batch, in one transaction.",
    )
    def apply_batches(
        context: dg.AssetExecutionContext, replica: ReplicaResource, chain: ChainResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with explained(context):
            chain.hold()
            done = apply_pending(replica.settings, replica.clock, progress=replica.progress)
            now = replica.clock.now()
            with connection(replica.warehouse_dsn) as opened:
                known = ledger.read(opened)
                evidence = with_ledger(landing_evidence(replica.settings, now), opened)
            fresh = {t: freshness_of(t, evidence.of_staging()) for t in settings.tables}
            yield from report(
                context,
                {
                    keys.staging(settings, table): {
                        **metadata.of_applied(settings, done, known, table),
                        **metadata.of_freshness(found, found.applied, now),
                    }
                    for table, found in fresh.items()
                },
            )

    return apply_batches


def _specs(settings: Settings) -> list[dg.AssetSpec]:
    policy = Policy.from_settings(settings)
    return [
        dg.AssetSpec(
            keys.staging(settings, table),
            deps=[keys.raw(settings, table)],
            description=f"{table} as production had it at staging's position, masked; one row per "
            "row of production.",
            group_name=keys.STAGING,
            kinds={"postgres", "duckdb", "table"},
            owners=[PLATFORM],
            skippable=True,
            metadata=metadata.of_staging(settings, policy, table),
            freshness_policy=freshness.by_night(),
        )
        for table in settings.tables
    ]
