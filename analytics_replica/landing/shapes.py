"""The shapes of tables as the stream brings them, matched with what is known of them.

Here: which table of the policy a relation of the log is, its real key and its types' names (the log
flags every column of a FULL identity as key and names types by number), and its seal. Not here:
the seal (masking), whether staging may follow a shape (staging).

No shape stops capture: what cannot be landed as the policy says is sealed, and the file says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analytics_replica.domain.batches import Catalog, CatalogTable
from analytics_replica.domain.tables import Column, Identity, Table, TableName
from analytics_replica.landing.beside import BesideSeal
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.masking.key_versions import keyed_tables
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.settings.secrets import MaskingKeys

Seals = tuple[TableSeal, ...]


@dataclass
class Shapes:
    """What landing knows of each table's columns, and the seals made from it.

    `tables` is each table as the catalog, or a landed file, last had it. `next_policy` is the same
    policy under the key that is being rotated to.
    """

    known: Mapping[TableName, Mapping[str, Column]]
    policy: Policy
    keys: MaskingKeys
    next_policy: Policy | None = None
    tables: Mapping[TableName, CatalogTable] = field(default_factory=dict)
    _made: dict[Table, tuple[Table, Seals] | None] = field(default_factory=dict)

    @classmethod
    def landed(
        cls,
        store: Store,
        policy: Policy,
        keys: MaskingKeys,
        now: Catalog | None = None,
        next_policy: Policy | None = None,
    ) -> Shapes:
        """The shapes that the newest landed file of each table had; `now` is today's catalog."""
        known: dict[TableName, Mapping[str, Column]] = {}
        tables: dict[TableName, CatalogTable] = {}
        for manifest in manifests(store):
            for file in manifest.files:
                known[file.table] = {c.column.name: c.column for c in file.columns}
            if manifest.catalog is not None:
                tables.update((t.table, t) for t in manifest.catalog.tables)
        if now is not None:
            tables.update((t.table, t) for t in now.tables)
        return cls(known, policy, keys, next_policy, tables)

    def of(self, relation: Table) -> tuple[Table, Seals] | None:
        """The table of the policy that this relation is, with its real key, and its seals.

        More than one only while masking keys are rotated and the table has tokens: the second is
        for what lies beside.

        None if the policy does not list it: then its changes are knowingly left out. A table that
        was renamed is still the one that the policy lists; one that was never copied is landed as
        the log describes it.
        """
        if relation not in self._made:
            self._made[relation] = self._make(relation)
        return self._made[relation]

    def _make(self, relation: Table) -> tuple[Table, Seals] | None:
        name = self._listed_name(relation)
        if name is None:
            return None
        columns = tuple(self._column(c, name, relation.identity) for c in relation.columns)
        table = self.policy.captured(replace(relation, name=name, columns=columns))
        seal = TableSeal.of_stream(table, self.policy, self.keys)
        later = self.next_policy
        if later is None or name not in keyed_tables(later):
            return table, (seal,)
        return table, (seal, BesideSeal.of_stream(table, later, self.keys))

    def _listed_name(self, relation: Table) -> TableName | None:
        if relation.name in self.policy.tables:
            return relation.name
        same = (name for name, table in self.tables.items() if table.oid == relation.oid)
        return next((name for name in same if name in self.policy.tables), None)

    def _column(self, seen: Column, table: TableName, identity: Identity) -> Column:
        before = self.known.get(table, {}).get(seen.name)
        # Of a FULL identity, or none, the log does not say what the key is; the catalog did.
        key = seen.key
        if identity not in (Identity.DEFAULT, Identity.INDEX):
            key = before.key if before is not None else self._catalog_says_key(table, seen.name)
        if before is None or (before.type_oid, before.type_modifier) != (
            seen.type_oid,
            seen.type_modifier,
        ):
            return replace(seen, key=key)
        return replace(before, key=key)

    def _catalog_says_key(self, table: TableName, column: str) -> bool:
        return table in self.tables and column in self.tables[table].key
