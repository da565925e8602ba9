"""Versions of masking keys: which key a treatment uses, and how a key is known again.

Here: key check values, a policy under another key, the key ids that landed files name. Not here:
reading keys (settings.secrets), which key landing is under (landing.landed_keys), tokens
(strategies).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.treatments import Treatment, recorded
from analytics_replica.settings.secrets import MaskingKeys

_CHECKED: Final = b"analytics-replica/key-check/v1"
_CHECK_BYTES: Final = 8
"""Enough that no two keys of one replica.yaml ever agree, and of no use for finding the key."""

_OLDER: Final = re.compile(r"[a-z0-9_]+ (?:[^{].* )?key=(\S+)")
"""How treatments of the first release named the key."""

KeyChecks = tuple[tuple[str, str], ...]
"""Key id and check value, as manifests record them, in order of the ids."""


def check_value(key: bytes) -> str:
    """What a key is known by, as 16 hex digits: safe to publish, equal for equal keys only."""
    return hmac.new(key, _CHECKED, hashlib.sha256).digest()[:_CHECK_BYTES].hex()


def keyed_tables(policy: Policy) -> frozenset[TableName]:
    """The tables whose values depend on a masking key; all, if a pattern's may."""
    if any(done.keyed for _, done in policy.patterns):
        return frozenset(policy.tables)
    tables = policy.tables.items()
    return frozenset(t for t, columns in tables if any(done.keyed for done in columns.values()))


def under(policy: Policy, key_id: str) -> Policy:
    """The same decisions, with tokens made with this key."""
    tables = {
        table: {name: _under(done, key_id) for name, done in columns.items()}
        for table, columns in policy.tables.items()
    }
    patterns = tuple((pattern, _under(done, key_id)) for pattern, done in policy.patterns)
    return replace(policy, tables=tables, patterns=patterns)


def _under(done: Treatment, key_id: str) -> Treatment:
    return replace(done, key_id=key_id) if done.keyed else done


def used(policy: Policy) -> frozenset[str]:
    """The ids of the keys that this policy makes tokens with."""
    listed = (done for columns in policy.tables.values() for done in columns.values())
    every = chain(listed, (done for _, done in policy.patterns))
    return frozenset(done.key_id for done in every if done.keyed and done.key_id is not None)


def checks_of(policy: Policy, keys: MaskingKeys) -> KeyChecks:
    """The keys that this policy makes tokens with.

    SettingsInvalid if one is not in replica.yaml.
    """
    require_present(used(policy), keys)
    return tuple((key_id, check_value(keys.by_id[key_id])) for key_id in sorted(used(policy)))


def require_present(needed: Iterable[str], keys: MaskingKeys) -> None:
    """SettingsInvalid, with what to do, if a key that made what is landed is not configured."""
    for key_id in sorted(needed):
        if key_id not in keys.by_id:
            raise SettingsInvalid(
                what=f"Masking key {key_id} is not in replica.yaml, and what is landed was made "
                "with it.",
                why="Going on with another key would mix two kinds of tokens in one table; "
                "nothing was stored.",
                next=f"Put {key_id} back under `masking.keys` until `analytics-replica keys "
                "rotate` has copied the tables under the active key. If it is lost, take a new "
                "copy of all tables with `analytics-replica capture --first-copy`.",
            )


def require_same(known: Iterable[tuple[str, str]], keys: MaskingKeys) -> None:
    """SettingsInvalid if a key is another one than the key of this id that was used before."""
    for key_id, check in known:
        key = keys.by_id.get(key_id)
        if key is not None and check_value(key) != check:
            raise SettingsInvalid(
                what=f"Masking key {key_id} is not the one that made what is landed "
                f"(its check value is {check_value(key)}, and was {check}).",
                why="Tokens of both would have the same name in one table, and joins would break "
                "without a word; nothing was stored.",
                next=f"Restore the old key of {key_id}. A new key gets an id of its own, and "
                "`analytics-replica keys rotate` changes over to it.",
            )


def keys_named(treatments: Iterable[str]) -> frozenset[str]:
    """The key ids in treatments as manifests and the ledger record them."""
    return frozenset(key_id for text in treatments for key_id in _named(text))


def _named(treatment: str) -> Iterator[str]:
    if (older := _OLDER.fullmatch(treatment)) is not None:
        yield older[1]
    elif isinstance(key_id := recorded(treatment)[1].get("key"), str):
        yield key_id
