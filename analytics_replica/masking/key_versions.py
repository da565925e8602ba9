"""Versions of masking keys: which key a treatment uses, and how a key is known again.

Here: key check values, a policy under another key, the key ids that landed files name. Not here:
reading keys (settings.secrets), which key a table is under (landing.rotation), tokens
(strategies.py).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.masking.policy import Policy, Treatment
from analytics_replica.settings.secrets import MaskingKeys

_CHECKED: Final = b"analytics-replica/key-check/v1"
_CHECK_BYTES: Final = 8
"""Enough that no two keys of one replica.yaml ever agree, and of no use for finding the key."""

_OLDER: Final = re.compile(r"[a-z0-9_]+ (?:.* )?key=(\S+)")
"""How treatments of the first release named the key."""

_OPTIONS: Final = re.compile(r"[a-z0-9_]+ (\{.*\})", re.DOTALL)
"""A mask with its options; a column that is sealed for a reason has a colon first."""

KeyChecks = tuple[tuple[str, str], ...]
"""Key id and check value, as manifests record them, in order of the ids."""


def check_value(key: bytes) -> str:
    """What a key is known by, as 16 hex digits: safe to publish, equal for equal keys only."""
    return hmac.new(key, _CHECKED, hashlib.sha256).digest()[:_CHECK_BYTES].hex()


def is_keyed(done: Treatment) -> bool:
    """True if values under this treatment depend on a masking key."""
    return replace(done, key_id="a").describe() != replace(done, key_id="b").describe()


def keyed_tables(policy: Policy) -> frozenset[TableName]:
    """The tables with a column whose values depend on a masking key."""
    tables = policy.tables.items()
    return frozenset(table for table, columns in tables if any(map(is_keyed, columns.values())))


def under(policy: Policy, key_of: Callable[[TableName], str]) -> Policy:
    """The same decisions, each table's tokens made with the key that `key_of` says."""
    tables = {
        table: {
            name: replace(done, key_id=key_of(table)) if is_keyed(done) else done
            for name, done in columns.items()
        }
        for table, columns in policy.tables.items()
    }
    return replace(policy, tables=tables)


def used(policy: Policy) -> frozenset[str]:
    """The ids of the keys that this policy makes tokens with."""
    every = (done for columns in policy.tables.values() for done in columns.values())
    return frozenset(done.key_id for done in every if done.key_id is not None and is_keyed(done))


def checks_of(policy: Policy, keys: MaskingKeys) -> KeyChecks:
    """The keys that this policy makes tokens with; SettingsInvalid if one is not in replica.yaml."""
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
    if (found := _OPTIONS.fullmatch(treatment)) is not None:
        yield from _in_options(json.loads(found[1]))
    elif (older := _OLDER.fullmatch(treatment)) is not None:
        yield older[1]


def _in_options(options: Mapping[str, Any]) -> Iterator[str]:
    """The key of this mask, and those of the masks inside a json document."""
    if isinstance(options.get("key"), str):
        yield options["key"]
    inside = options.get("paths")
    for path in inside.values() if isinstance(inside, dict) else ():
        if isinstance(path, dict):
            yield from _in_options(path)
