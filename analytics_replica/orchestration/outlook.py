"""The outlook: how tonight stands at this moment, from Dagster's records.

Here: joining records, arithmetic and verdict for whoever asks: the sensor, `status`. Not here:
reading the records (history.py), judging (deadlines.readiness), telling anybody (sensors.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg

from analytics_replica.deadlines.deadline import Deadline
from analytics_replica.deadlines.projection import project
from analytics_replica.deadlines.readiness import Readiness, judge
from analytics_replica.orchestration import history, keys
from analytics_replica.orchestration.freshness import nightly_deadline
from analytics_replica.orchestration.resources import replica_of

Models = Mapping[dg.AssetKey, Iterable[dg.AssetKey]]
"""What dbt builds: key → parents."""


def models_of(specs: Iterable[dg.AssetSpec]) -> Models:
    """What dbt builds among these assets, with parents."""
    ours = {keys.RAW, keys.STAGING, *keys.READY.path}
    return {
        spec.key: [dep.asset_key for dep in spec.deps]
        for spec in specs
        if spec.key.path[0] not in ours
    }


def outlook_of(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Readiness:
    """The verdict on tonight for this code location, by its own clock."""
    replica = replica_of(definitions)
    now = replica.clock.now()
    deadlines = replica.settings.replica.deadlines
    deadline = nightly_deadline(deadlines, now.astimezone(deadlines.tz).date())
    return outlook(instance, deadline, models_of(definitions.resolve_all_asset_specs()), now)


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
