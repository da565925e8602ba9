"""The outlook: how tonight stands at this moment, from Dagster's records.

Here: joining records, arithmetic and verdict for whoever asks: the sensor, `status`. Not here:
reading the records (history.py), judging (deadlines.readiness), telling anybody (sensors.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg
from dagster import BaseAssetGraph

from analytics_replica.deadlines.deadline import Deadline
from analytics_replica.deadlines.projection import project
from analytics_replica.deadlines.readiness import Readiness, judge
from analytics_replica.orchestration import history, keys

Models = Mapping[dg.AssetKey, Iterable[dg.AssetKey]]
"""What dbt builds: key → parents."""


def models_of(graph: BaseAssetGraph) -> Models:  # type: ignore[type-arg]  # its node type is private
    """The assets that dbt builds, with their parents."""
    ours = {keys.RAW, keys.STAGING, *keys.READY.path}
    return {
        key: graph.get(key).parent_keys
        for key in graph.materializable_asset_keys
        if key.path[0] not in ours
    }


def outlook(
    instance: dg.DagsterInstance, deadline: Deadline, models: Models, now: datetime
) -> Readiness:
    """The verdict on the night that `now` belongs to.

    A night whose deadline passed before anything ever ran was promised by nobody; then it is the
    next one.
    """
    night = deadline.night_of(now)
    since = history.first_seen(instance)
    if since is None or since > night.deadline:
        night = deadline.night(deadline.next_after(now))
    known = history.tonight(instance, night, models)
    past = history.past_nights(instance)
    projection = project(
        history.step_graph(models),
        past.p95,
        known.steps,
        now.astimezone(UTC),
        night.begins.astimezone(UTC),
    )
    return judge(now, night, known, projection)
