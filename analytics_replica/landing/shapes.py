"""The shapes of tables as the stream brings them, matched with what is known of them.

Here: giving a relation from the log its real key and its types' names (the log flags every column
of a FULL identity as key and names types by number), and its seal. Not here: the seal (masking).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analytics_replica.domain.tables import Column, Identity, Table, TableName
from analytics_replica.errors import PolicyViolation
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.settings.secrets import MaskingKeys


@dataclass
class Shapes:
    """What landing knows of each table's columns, and the seals made from it."""

    known: Mapping[TableName, Mapping[str, Column]]
    policy: Policy
    keys: MaskingKeys
    _made: dict[Table, tuple[Table, TableSeal]] = field(default_factory=dict)

    @classmethod
    def landed(cls, store: Store, policy: Policy, keys: MaskingKeys) -> Shapes:
        """The shapes that the newest landed file of each table had."""
        known: dict[TableName, Mapping[str, Column]] = {}
        for manifest in manifests(store):
            for file in manifest.files:
                known[file.table] = {c.column.name: c.column for c in file.columns}
        return cls(known, policy, keys)

    def of(self, relation: Table) -> tuple[Table, TableSeal]:
        """The relation with its real key and type names, and its seal.

        PolicyViolation if the table is not in the policy, was never copied, or a rule cannot work
        on its new shape.
        """
        if relation not in self._made:
            self._made[relation] = self._make(relation)
        return self._made[relation]

    def _make(self, relation: Table) -> tuple[Table, TableSeal]:
        known = self.known.get(relation.name)
        if known is None or relation.name not in self.policy.tables:
            raise PolicyViolation(
                what=f"The log brings changes of {relation.name}, which was never copied.",
                why="Changes without the rows they belong to would make a wrong table.",
                next="List the table in replica.yaml, then run "
                "`analytics-replica capture --first-copy`.",
            )
        columns = tuple(self._column(c, known, relation.identity) for c in relation.columns)
        table = self.policy.captured(replace(relation, columns=columns))
        return table, TableSeal.of(table, self.policy, self.keys)

    def _column(self, seen: Column, known: Mapping[str, Column], identity: Identity) -> Column:
        before = known.get(seen.name)
        # Of a FULL identity, or none, the log does not say what the key is; the catalog did.
        says_key = identity in (Identity.DEFAULT, Identity.INDEX)
        key = seen.key if says_key else before is not None and before.key
        if before is None or (before.type_oid, before.type_modifier) != (
            seen.type_oid,
            seen.type_modifier,
        ):
            return replace(seen, key=key)
        return replace(before, key=key)
