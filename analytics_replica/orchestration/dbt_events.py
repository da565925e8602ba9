"""What dbt says while it builds, as Dagster's events with everything that we show.

Here: models and tests as results for what was selected and as records for the rest; rows, columns
and lineage of each model. Not here: starting dbt, its failures (dbt_runs.py). dagster-dbt's own
fetch_row_counts and fetch_column_metadata wait in a loop that keeps a whole core busy for as long
as dbt runs (2026-11-21), so we ask the catalog ourselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DbtCliEventMessage, DbtProject

from analytics_replica.orchestration.column_lineage import Relation, column_lineage
from analytics_replica.orchestration.metadata import Metadata
from analytics_replica.orchestration.translator import ReplicaTranslator
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.editions import Edition
from analytics_replica.serving.relations import RelationColumn, tables_of, views_of

Event = dg.MaterializeResult[None] | dg.AssetCheckResult | dg.AssetObservation

_ROWS: Final = re.compile(r"(?:SELECT|INSERT 0) (\d+)")
"""PostgreSQL's tag of the statement that filled a table: its rows, without counting them."""


@dataclass
class DbtEvents:
    """Turns dbt's messages of one build into events. `conn` is in autocommit."""

    context: dg.AssetExecutionContext
    manifest: Mapping[str, Any]
    translator: ReplicaTranslator
    project: DbtProject
    target: Path
    edition: Edition
    conn: Connection
    told: Metadata
    """What every model of this build shares."""
    _sources: dict[str, dict[Relation, tuple[RelationColumn, ...]]] = field(default_factory=dict)

    def of(self, message: DbtCliEventMessage) -> Iterator[Event]:
        """The events of this message; what was not selected is recorded on the way."""
        # Without the context dagster-dbt names every model and test, whatever was selected.
        for event in message.to_default_asset_events(
            self.manifest, self.translator, None, self.target, self.project
        ):
            match event:
                case dg.AssetMaterialization():
                    yield from self._model(event, message)
                case dg.AssetCheckEvaluation():
                    yield from self._check(event)
                case dg.AssetObservation():
                    yield event
                case dg.Output() | dg.AssetCheckResult():
                    raise TypeError("dagster-dbt makes these only if it is given the context")

    def _model(
        self, event: dg.AssetMaterialization, message: DbtCliEventMessage
    ) -> Iterator[Event]:
        node = self.manifest["nodes"][event.metadata["unique_id"].value]
        said = {**event.metadata, **self.told, **self._columns(node), **_rows(node, message)}
        if event.asset_key in self.context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=event.asset_key, metadata=said)
        else:
            self.context.log_event(dg.AssetMaterialization(event.asset_key, metadata=said))

    def _check(self, event: dg.AssetCheckEvaluation) -> Iterator[Event]:
        if event.asset_check_key in self.context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=event.asset_key,
                check_name=event.check_name,
                passed=event.passed,
                severity=event.severity,
                metadata=event.metadata,
            )
        else:
            self.context.log_event(event)

    def _columns(self, node: Mapping[str, Any]) -> Metadata:
        built = self._built()
        columns = built.get((self.edition.value, node["alias"]), ())
        if not columns:
            return {}
        described = {name: column["description"] for name, column in node["columns"].items()}
        schema = [
            dg.TableColumn(c.name, type=c.type_name, description=described.get(c.name) or c.comment)
            for c in columns
        ]
        return {
            "dagster/column_schema": dg.TableSchema(schema),
            "dagster/column_lineage": self._lineage(node, built),
        }

    def _lineage(
        self, node: Mapping[str, Any], built: Mapping[Relation, tuple[RelationColumn, ...]]
    ) -> dg.TableColumnLineage:
        keys: dict[Relation, dg.AssetKey] = {}
        parents: dict[Relation, dict[str, str]] = {}
        for unique_id in node["depends_on"]["nodes"]:
            relation, columns = self._parent(unique_id, built)
            keys[relation] = self.translator.get_asset_key(self._props(unique_id))
            parents[relation] = {column.name: column.type_name for column in columns}
        compiled = self.target / "compiled" / node["package_name"] / node["original_file_path"]
        if not compiled.is_file():
            return dg.TableColumnLineage({})
        found = column_lineage(compiled.read_text(encoding="utf-8"), parents)
        return dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(keys[parent], name) for parent, name in sorted(made_of)]
                for column, made_of in found.items()
            }
        )

    def _parent(
        self, unique_id: str, built: Mapping[Relation, tuple[RelationColumn, ...]]
    ) -> tuple[Relation, tuple[RelationColumn, ...]]:
        props = self._props(unique_id)
        if props["resource_type"] != "source":
            relation = (self.edition.value, str(props["alias"]))
            return relation, built.get(relation, ())
        relation = (str(props["schema"]), str(props["identifier"]))
        if relation[0] not in self._sources:
            self._sources[relation[0]] = self._read(relation[0])
        return relation, self._sources[relation[0]].get(relation, ())

    def _props(self, unique_id: str) -> Mapping[str, Any]:
        return self.translator.get_resource_props(self.manifest, unique_id)

    def _built(self) -> dict[Relation, tuple[RelationColumn, ...]]:
        return self._read(self.edition.value)

    def _read(self, schema: str) -> dict[Relation, tuple[RelationColumn, ...]]:
        relations = {**tables_of(self.conn, schema), **views_of(self.conn, schema)}
        return {(schema, name): relation.columns for name, relation in relations.items()}


def _rows(node: Mapping[str, Any], message: DbtCliEventMessage) -> Metadata:
    """The rows of a table that was built anew; of views and incremental models nothing is known."""
    if node["config"]["materialized"] != "table":
        return {}
    tag = _ROWS.fullmatch(str(message.raw_event["data"].get("status", "")).strip())
    return {"dagster/row_count": int(tag[1])} if tag else {}
