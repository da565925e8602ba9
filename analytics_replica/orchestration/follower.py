"""What a follower lands, told to Dagster while no run is under way.

Here: one materialization of every raw asset for each batch. Not here: following (landing.capture),
the assets themselves (assets.raw).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import dagster as dg

from analytics_replica.domain.batches import Manifest
from analytics_replica.orchestration import keys, metadata
from analytics_replica.settings.load import Settings

_LOG = logging.getLogger(__name__)


def reporting(settings: Settings, instance: dg.DagsterInstance) -> Callable[[Manifest], None]:
    """Tells the instance of each batch: every table is as fresh as the batch, also one in silence.

    Dagster's trouble never stops the capture: it is logged by the error's class, and the next batch
    is told again.
    """

    def tell(manifest: Manifest) -> None:
        try:
            for table in settings.tables:
                told = metadata.of_landed((manifest,), table)
                key = keys.raw(settings, table)
                instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=told))
        except Exception as cause:  # noqa: BLE001 - whatever Dagster's storage raises
            _LOG.warning("Dagster was not told of batch %d: %s", manifest.sequence, type(cause))

    return tell
