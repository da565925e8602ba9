"""dbt nodes as assets of the graph.

Here: keys, groups, owners, kinds and freshness of what dbt builds. Not here: running dbt
(assets/gold.py), its files (project.py). Nothing here knows a model by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from analytics_replica.errors import SettingsInvalid
from analytics_replica.orchestration import freshness, keys
from analytics_replica.settings.schema import Deadlines

LAYERS: Final = ("base", "intermediate", "gold")
SOURCE: Final = "staging"
"""The dbt source whose tables are the staging assets."""

PLATFORM: Final = "team:platform"
"""Owns what nobody claimed: whoever runs the copy."""


class ReplicaTranslator(DagsterDbtTranslator):
    """gold/<model>, base/<model>, intermediate/<model>; sources are staging/<table>.

    A model of gold is fresh if built by its deadline (`meta.deadline`, else ready_by); the layers
    below if built within a day. Tests on sources become checks of the staging assets; they run
    with dbt, in the step that builds gold.
    """

    def __init__(self, deadlines: Deadlines, staging_schema: str, today: date) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))
        self._deadlines = deadlines
        self._staging_schema = staging_schema
        self._today = today
        # dagster-dbt asks for a spec at each use, and a policy walks a year of deadlines.
        self._policies: dict[time | None, dg.FreshnessPolicy] = {}

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The key by layer and name; a key that the project names itself (meta.dagster) wins."""
        props = dbt_resource_props
        if _of_dagster(props).get("asset_key"):
            return super().get_asset_key(props)
        if props["resource_type"] == "source":
            if props["schema"] == self._staging_schema or props["source_name"] == SOURCE:
                return keys.staging_relation(props.get("identifier") or props["name"])
            return super().get_asset_key(props)
        version = props.get("version")
        name = props["name"] if version is None else f"{props['name']}_v{version}"
        return keys.model(layer_of(props), name)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The group that the project names, else one for gold and one for what it is built from."""
        named = _of_dagster(dbt_resource_props).get("group")
        if named:
            return str(named)
        return keys.GOLD if layer_of(dbt_resource_props) == keys.GOLD else keys.GOLD_BUILD

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str] | None:
        """Who owns the group in dbt, else `meta.owner` as a team, else the platform."""
        owners = super().get_owners(dbt_resource_props)
        if owners:
            return owners
        named = _meta(dbt_resource_props).get("owner")
        return [f"team:{named}" if named else PLATFORM]

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """The asset as dagster-dbt has it, with our kinds and freshness."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        if props["resource_type"] == "source":
            return spec
        materialized = props.get("config", {}).get("materialized")
        kind = materialized if materialized in ("view", "table", "incremental") else "model"
        return spec.replace_attributes(
            kinds={*spec.kinds, kind}, freshness_policy=self._freshness(props)
        )

    def _freshness(self, props: Mapping[str, Any]) -> dg.FreshnessPolicy:
        if layer_of(props) != keys.GOLD:
            return freshness.by_night()
        own = _meta(props).get("deadline")
        at = None if own is None else _clock_time(str(own), props["name"])
        if at not in self._policies:
            deadline = freshness.nightly_deadline(self._deadlines, self._today, at)
            self._policies[at] = freshness.by_deadline(deadline, self._today)
        return self._policies[at]


def layer_of(props: Mapping[str, Any]) -> str:
    """The model's layer: the folder below models/ if it is one of ours, else gold.

    What stands outside the folders is read by people, or it would be in them.
    """
    if props["resource_type"] in ("seed", "snapshot"):
        return str(props["resource_type"])
    path = [str(part) for part in props["fqn"][1:-1]]
    return path[0] if path and path[0] in LAYERS else keys.GOLD


def _meta(props: Mapping[str, Any]) -> Mapping[str, Any]:
    return props.get("config", {}).get("meta") or props.get("meta") or {}


def _of_dagster(props: Mapping[str, Any]) -> Mapping[str, Any]:
    return _meta(props).get("dagster") or {}


def _clock_time(text: str, model: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise SettingsInvalid(
            what=f"The deadline {text!r} of the model {model} is not a time of day.",
            why="A promise that cannot be read is kept by nobody.",
            next='Write it in quotes in the model\'s meta, for example deadline: "04:00".',
        ) from None
