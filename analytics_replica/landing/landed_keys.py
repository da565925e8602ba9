"""Landed keys: the masking key that each table's copy in landing was made with.

Here: which key a capture goes on with, whatever replica.yaml's active key is, and that it is the
same key as before. Not here: changing over (rotation.py), reading keys (settings.secrets).

The key belongs to a table's copy: changes that come on top of it must have its tokens. The active
key is for new copies of all tables. A table that was never copied takes the key of the others, so
that it joins with them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import LandingError
from analytics_replica.landing.beside import keys_in
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest, manifests
from analytics_replica.masking.key_versions import keyed_tables, require_same, under
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.secrets import MaskingKeys


@dataclass(frozen=True)
class LandedKeys:
    """The key id of each landed table with tokens; `newest` is for every other table."""

    newest: str
    by_table: Mapping[TableName, str] = field(default_factory=dict)

    def of(self, table: TableName) -> str:
        """The id of the key that this table's changes are sealed with."""
        return self.by_table.get(table, self.newest)


def landed_keys(store: Store, policy: Policy, active: str) -> LandedKeys:
    """The keys that landing's tables are under; the active one where nothing was landed yet."""
    last = last_manifest(store)
    if last is None or not keyed_tables(policy):
        return LandedKeys(active)
    if len(last[0].keys) == 1:
        return LandedKeys(last[0].keys[0][0])
    newest, by_table = active, dict[TableName, str]()
    for manifest in manifests(store):  # an older release did not record them, or they are mixed
        for file in manifest.files:
            for key_id in keys_in([file]):
                newest = by_table[file.table] = key_id
    return LandedKeys(newest, by_table)


def as_landed(store: Store, policy: Policy, keys: MaskingKeys) -> Policy:
    """The policy, each table under the key of its copy in landing.

    SettingsInvalid if that key is another one now than when the table was landed.
    """
    last = last_manifest(store)
    if last is not None:
        require_same(last[0].keys, keys)
    return under(policy, landed_keys(store, policy, keys.active).of)


def as_active(store: Store, policy: Policy, keys: MaskingKeys) -> Policy:
    """The policy with every table under the active key, for a new copy of all tables.

    SettingsInvalid if landing ever had another key of one of the configured ids. Manifests that
    cannot be read say nothing: a first copy is the way out of a broken landing.
    """
    with contextlib.suppress(LandingError):
        for manifest in manifests(store):
            require_same(manifest.keys, keys)
    return under(policy, lambda _: keys.active)


def next_policy(policy: Policy, keys: MaskingKeys) -> Policy | None:
    """The policy under the active key, if some table with tokens is still under another one."""
    active = under(policy, lambda _: keys.active)
    return None if active == policy else active


def policy_then(policy: Policy, copy: Manifest) -> Policy:
    """The policy as it is once this copy is landed: its tables under the keys that it has."""
    named = {file.table: keys_in([file]) for file in copy.files}
    found = {table: min(keys) for table, keys in named.items() if keys and table in policy.tables}
    then = under(policy, lambda table: found.get(table, ""))
    return replace(policy, tables={**policy.tables, **{t: then.tables[t] for t in found}})
