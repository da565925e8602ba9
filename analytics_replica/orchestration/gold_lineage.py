"""Gold lineage: which staging columns every column of every model is made of.

Here: following columns from model to model, from dbt's manifest and compiled SQL alone, so that CI
can ask without a warehouse. Not here: the lineage inside one model (column_lineage.py), what it
means (masking.proof.models).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from analytics_replica.masking.policy import Policy
from analytics_replica.masking.proof.models import ColumnOrigin, Origin
from analytics_replica.masking.proof.tables import Allowed
from analytics_replica.masking.treatments import recorded
from analytics_replica.orchestration.column_lineage import MadeOf, Relation, traced
from analytics_replica.settings.load import Settings

Node = Mapping[str, Any]
Staging = Mapping[str, Mapping[str, Origin]]
"""Table in staging → column → what is known of it."""

OURS: Final = ColumnOrigin()
"""Of a seed: it stands in the project and is reviewed with it."""

_BY_DBT: Final = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")
"""Columns that dbt itself adds to a snapshot."""


def staging_of_policy(settings: Settings) -> dict[str, dict[str, Origin]]:
    """What the policy says of every staging table."""
    policy = Policy.from_settings(settings)
    return staging_origins(
        settings,
        {
            settings.staging_name(table): {
                name: policy.treatment(table, name).describe() for name in policy.published(table)
            }
            for table in settings.tables
        },
    )


def staging_origins(
    settings: Settings, treatments: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Origin]]:
    """The origins of these staging tables (name → column → treatment in words)."""
    schema = settings.replica.warehouse.staging_schema
    allowed = {
        settings.staging_name(table): Allowed.of(rules.columns)
        for table, rules in settings.tables.items()
    }
    return {
        table: {
            name: Origin(
                f"{schema}.{table}.{name}", _readable(said), _is_allowed(allowed, table, name)
            )
            for name, said in columns.items()
        }
        for table, columns in treatments.items()
    }


def compiled_in(target: Path) -> Callable[[Node], str | None]:
    """Reads a node's compiled SQL from dbt's target directory; None if it is not there."""

    def read(node: Node) -> str | None:
        file = target / "compiled" / node["package_name"] / node["original_file_path"]
        return file.read_text(encoding="utf-8") if file.is_file() else None

    return read


@dataclass
class GoldLineage:
    """The columns of a dbt project's models and what they are made of.

    `built` names the columns that a model really has (by its alias), as far as that is known.
    """

    manifest: Mapping[str, Any]
    edition: str
    """The schema that the compiled SQL names; the manifest was parsed for one of two."""
    staging_schema: str
    staging: Staging
    compiled: Callable[[Node], str | None]
    built: Mapping[str, Iterable[str]] = field(default_factory=dict)
    _known: dict[str, dict[str, ColumnOrigin]] = field(default_factory=dict)

    def of(self, unique_id: str) -> Mapping[str, ColumnOrigin]:
        """Column of the model, seed, snapshot or source → what it is made of.

        A column of which nothing could be read is missing.
        """
        if unique_id not in self._known:
            # A model that reads itself (incremental) adds nothing to itself.
            self._known[unique_id] = {}
            self._known[unique_id] = self._found(unique_id)
        return self._known[unique_id]

    def _found(self, unique_id: str) -> dict[str, ColumnOrigin]:
        if unique_id in self.manifest["sources"]:
            return self._of_source(self.manifest["sources"][unique_id])
        node = self.manifest["nodes"][unique_id]
        if node["resource_type"] == "seed":
            return dict.fromkeys(self._names(node), OURS)
        text = self.compiled(node)
        if text is None:
            return {}
        parents = dict(self._parents(node))
        columns = {
            relation: dict.fromkeys(self._columns_of(parent), "text")
            for relation, parent in parents.items()
        }
        made = {
            name: self._joined(found, parents, self._relation(node))
            for name, found in traced(text, columns).items()
        }
        if node["resource_type"] == "snapshot":
            made |= dict.fromkeys(_BY_DBT, OURS)
        return made

    def _of_source(self, source: Node) -> dict[str, ColumnOrigin]:
        table = self.staging.get(str(source["identifier"]))
        if source["schema"] != self.staging_schema or table is None:
            return {}
        return {name: ColumnOrigin(frozenset({o}), unchanged=True) for name, o in table.items()}

    def _parents(self, node: Node) -> Iterable[tuple[Relation, str]]:
        """What the SQL may read: relations that it refers to, also through ephemerals."""
        yield self._relation(node), node["unique_id"]
        for unique_id in node["depends_on"]["nodes"]:
            parent = self.manifest["sources"].get(unique_id) or self.manifest["nodes"][unique_id]
            if parent.get("config", {}).get("materialized") == "ephemeral":
                yield from self._parents(parent)
            else:
                yield self._relation(parent), unique_id

    def _columns_of(self, unique_id: str) -> list[str]:
        names = dict.fromkeys(self.of(unique_id))
        if unique_id in self.manifest["nodes"]:
            names |= dict.fromkeys(self._names(self.manifest["nodes"][unique_id]))
        return list(names)

    def _relation(self, node: Node) -> Relation:
        if node["resource_type"] == "source":
            return (str(node["schema"]), str(node["identifier"]))
        return (self.edition, str(node["alias"]))

    def _names(self, node: Node) -> list[str]:
        return [*node["columns"], *self.built.get(str(node["alias"]), ())]

    def _joined(self, made: MadeOf, parents: Mapping[Relation, str], own: Relation) -> ColumnOrigin:
        origins: set[Origin] = set()
        unread, unchanged = set(made.unread), made.unchanged
        for relation, column in made.columns:
            if relation == own:
                continue
            found = self.of(parents[relation]).get(column)
            if found is None:
                unread.add(".".join((*relation, column)))
                continue
            origins |= found.origins
            unread |= found.unread
            unchanged = unchanged and found.unchanged
        return ColumnOrigin(frozenset(origins), unchanged, frozenset(unread))


def _readable(treatment: str) -> str | None:
    try:
        recorded(treatment)
    except ValueError:
        return None
    return treatment


def _is_allowed(allowed: Mapping[str, Allowed], table: str, column: str) -> bool:
    known = allowed.get(table, Allowed())
    return column in known.columns or column in known.paths
