"""The check of gold: that no model shows what no policy allows.

Here: the masking proof of every gold model, in one step, on the edition that was built last. Not
here: making the judgement (masking.proof.models), lineage (gold_lineage.py), dbt's tests
(assets/gold.py). It blocks `ready`: readers keep the last edition.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import dagster as dg
from dagster_dbt import DbtProject

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.masking.proof.judgement import ABOUT
from analytics_replica.masking.proof.models import prove_model
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.gold_lineage import (
    GoldLineage,
    compiled_in,
    staging_origins,
)
from analytics_replica.orchestration.metadata import EDITION
from analytics_replica.orchestration.project import build_target
from analytics_replica.orchestration.resources import Replica, ReplicaResource
from analytics_replica.orchestration.translator import ReplicaTranslator
from analytics_replica.orchestration.verdicts import Check
from analytics_replica.postgres.connect import Connection, connection
from analytics_replica.serving.editions import Edition
from analytics_replica.serving.relations import tables_of, views_of
from analytics_replica.staging import ledger
from analytics_replica.staging.ledger import Ledger

NAME: Final = "masking_proof"
CHECK: Final = Check(
    "Every column is made of masked or kept columns alone, and its values look so (scans the "
    "model in the edition that was built last).",
    blocking=True,
)


def gold_checks(
    project: DbtProject, manifest: Mapping[str, Any], translator: ReplicaTranslator
) -> dg.AssetChecksDefinition:
    """The masking proof of every gold model in one step; only the selected ones are judged."""
    models = _gold_models(manifest, translator)
    specs = [CHECK.spec(NAME, key) for key in models]

    @dg.multi_asset_check(name=keys.GOLD_CHECKS_STEP, specs=specs, can_subset=True)
    def check_gold(
        context: dg.AssetCheckExecutionContext, replica: ReplicaResource
    ) -> Iterator[dg.AssetCheckResult]:
        selected = sorted(context.selected_asset_check_keys)
        with explained(context), connection(replica.warehouse_dsn) as opened:
            editions = _editions(context.instance, [key.asset_key for key in selected])
            look = _Look(replica, opened, project, manifest)
            for key in selected:
                edition = editions.get(key.asset_key)
                yield CHECK.result(look.verdict(models[key.asset_key], edition), key)

    return check_gold


def _gold_models(
    manifest: Mapping[str, Any], translator: ReplicaTranslator
) -> dict[dg.AssetKey, str]:
    """Asset → dbt's id of the model, for all that readers see."""
    found = {
        translator.get_asset_key(node): unique_id
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    }
    return {key: found[key] for key in sorted(found) if key.path[0] == keys.GOLD}


def _editions(
    instance: dg.DagsterInstance, models: list[dg.AssetKey]
) -> dict[dg.AssetKey, Edition]:
    """The edition that each model was built into last."""
    found = {}
    for key, event in instance.get_latest_materialization_events(models).items():
        made = event.asset_materialization if event is not None else None
        if made is not None and EDITION in made.metadata:
            found[key] = Edition(str(made.metadata[EDITION].value))
    return found


class _Look:
    """One look at the warehouse; what all models share is read once."""

    def __init__(
        self,
        replica: Replica,
        opened: Connection,
        project: DbtProject,
        manifest: Mapping[str, Any],
    ) -> None:
        self._replica = replica
        self._opened = opened
        self._project = project
        self._manifest = manifest
        self._lineages: dict[Edition, GoldLineage] = {}

    def verdict(self, unique_id: str, edition: Edition | None) -> Verdict:
        node = self._manifest["nodes"][unique_id]
        if edition is None:
            reason = "it was never built, or not by the build of gold"
            return Verdict.cannot_tell(ABOUT, Finding(node["name"], reason))
        lineage = self._lineage(edition)
        if lineage.compiled(node) is None:
            reason = f"its compiled SQL is not in {build_target(self._project, edition)}"
            return Verdict.cannot_tell(ABOUT, Finding(node["name"], reason))
        held = TableName(edition.value, node["alias"])
        seed = self._ledger.last_batch
        return prove_model(self._opened, held, lineage.of(unique_id), seed=seed)

    @cached_property
    def _ledger(self) -> Ledger:
        return ledger.read(self._opened)

    def _lineage(self, edition: Edition) -> GoldLineage:
        if edition not in self._lineages:
            settings = self._replica.settings
            schema = edition.value
            built = {**tables_of(self._opened, schema), **views_of(self._opened, schema)}
            landed = {
                table.staging_name: {c.name: c.treatment for c in table.columns}
                for table in self._ledger.tables.values()
            }
            self._lineages[edition] = GoldLineage(
                self._manifest,
                schema,
                settings.replica.warehouse.staging_schema,
                staging_origins(settings, landed),
                compiled_in(build_target(self._project, edition)),
                {name: relation.types for name, relation in built.items()},
            )
        return self._lineages[edition]
