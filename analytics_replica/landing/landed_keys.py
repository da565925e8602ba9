"""The landed key: the masking key that the tables in landing are under.

Here: which key a capture goes on with, whatever replica.yaml's active key is, and that it is the
same key as before. Not here: changing over (rotation.py), reading keys (settings.secrets).

The key belongs to the copies in landing: changes that come on top of them must have their tokens,
and a table that is copied later must join with the others. So all of landing is under one key, and
the active key is for a new copy of all tables with tokens.
"""

from __future__ import annotations

import contextlib

from analytics_replica.domain.batches import Manifest
from analytics_replica.errors import LandingError
from analytics_replica.landing.beside import keys_in
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest, manifests
from analytics_replica.masking.key_versions import keyed_tables, require_same, under
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.secrets import MaskingKeys


def landed_key(store: Store, policy: Policy) -> str | None:
    """The id of the key that landing is under; None if it holds no tokens."""
    last = last_manifest(store)
    if last is None or not keyed_tables(policy):
        return None
    if last[0].keys:
        return last[0].keys[0][0]
    newest = None
    for manifest in manifests(store):  # an older release did not record it
        newest = max(keys_in(manifest.files), default=newest)
    return newest


def as_landed(store: Store, policy: Policy, keys: MaskingKeys) -> Policy:
    """The policy under the key that landing is under; under the active one if it is under none.

    SettingsInvalid if that is another key now than it was.
    """
    last = last_manifest(store)
    if last is not None:
        require_same(last[0].keys, keys)
    return under(policy, landed_key(store, policy) or keys.active)


def as_active(store: Store, policy: Policy, keys: MaskingKeys) -> Policy:
    """The policy under the active key, for a new copy of all tables with tokens.

    SettingsInvalid if landing ever had another key of one of the configured ids. Manifests that
    cannot be read say nothing: a first copy is the way out of a broken landing.
    """
    with contextlib.suppress(LandingError):
        for manifest in manifests(store):
            require_same(manifest.keys, keys)
    return under(policy, keys.active)


def next_policy(policy: Policy, keys: MaskingKeys) -> Policy | None:
    """The policy under the active key, if this one has tokens and they are another key's."""
    active = under(policy, keys.active)
    return None if active == policy else active


def policy_then(policy: Policy, copy: Manifest) -> Policy:
    """The policy as it is once this copy is landed: under the key that the copy was made with."""
    return under(policy, copy.keys[0][0]) if copy.keys else policy
