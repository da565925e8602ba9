"""Reporting of steps that make more than was asked for.

Here: results for the selected assets, records for the others. Capture and apply work on all tables
at once, and a build on the whole edition; what they made is recorded whatever was selected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg

from analytics_replica.orchestration.metadata import Metadata


def report(
    context: dg.AssetExecutionContext, made: Mapping[dg.AssetKey, Metadata]
) -> Iterator[dg.MaterializeResult[None]]:
    """A result for each selected asset; a logged materialization for each other one."""
    for key, told in made.items():
        if key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata=told)
        else:
            context.log_event(dg.AssetMaterialization(key, metadata=told))
