"""Whether the rules of replica.yaml fit together, before anything runs.

Here: what every rule comes to, tokens of one domain that would not join, and paths that cannot be
read. Not here: rules against production's types (masking.policy), reading the file (load.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analytics_replica.settings.paths import parse_path
from analytics_replica.settings.rules import (
    ClassRule,
    ColumnRule,
    Mask,
    keeps_anything,
    masks_in,
    resolved,
)
from analytics_replica.settings.schema import ReplicaFile

Path = tuple[str, ...]


class RuleUnfit(Exception):
    """A rule that cannot work: where it stands, and why."""

    def __init__(self, at: Path, reason: str) -> None:
        super().__init__(reason)
        self.at = at
        self.reason = reason


@dataclass(frozen=True)
class Rules:
    """What the rules come to: of each table's columns, and of the patterns."""

    tables: Mapping[str, Mapping[str, ColumnRule]]
    patterns: Mapping[str, ClassRule]


def rules_of(replica: ReplicaFile) -> Rules:
    """The resolved rules; RuleUnfit names the first one that cannot work."""
    tables = {
        table: {
            name: _resolved(("tables", table, "columns", name), rule, replica)
            for name, rule in rules.columns.items()
        }
        for table, rules in replica.tables.items()
    }
    patterns: dict[str, ClassRule] = {}
    for text, rule in replica.masking.patterns.items():
        at = ("masking", "patterns", text)
        if text.count(".") < 2:
            raise RuleUnfit(at, "a pattern is written schema.table.column")
        done = _resolved(at, rule, replica)
        if done == "keep" or keeps_anything(done):
            raise RuleUnfit(at, "a pattern would keep columns that nobody has looked at")
        patterns[text] = done
    _require_joins(tables, patterns)
    return Rules(tables, patterns)


def _resolved(at: Path, rule: ColumnRule, replica: ReplicaFile) -> ColumnRule:
    try:
        done = resolved(rule, replica.masking.classes, replica.masking.region)
        for mask in masks_in(done):
            for path in mask.paths:
                parse_path(path)
    except ValueError as reason:
        raise RuleUnfit(at, str(reason)) from None
    return done


def _require_joins(
    tables: Mapping[str, Mapping[str, ColumnRule]], patterns: Mapping[str, ColumnRule]
) -> None:
    """RuleUnfit if two columns of one domain would get different tokens for one value."""
    seen: dict[str, tuple[str, str]] = {}
    for at, mask in _keyed(tables, patterns):
        form = _form(mask)
        first, there = seen.setdefault(mask.domain or "", (form, ".".join(at)))
        if form != first:
            raise RuleUnfit(
                at,
                f"domain {mask.domain} is made with {form} here and with {first} at {there}, so "
                "its tokens would not join",
            )


def _keyed(
    tables: Mapping[str, Mapping[str, ColumnRule]], patterns: Mapping[str, ColumnRule]
) -> Iterator[tuple[Path, Mask]]:
    for table, columns in tables.items():
        for name, rule in columns.items():
            yield from _with_domain(("tables", table, "columns", name), rule)
    for text, rule in patterns.items():
        yield from _with_domain(("masking", "patterns", text), rule)


def _with_domain(at: Path, rule: ColumnRule) -> Iterator[tuple[Path, Mask]]:
    for mask in masks_in(rule):
        if mask.domain is not None:
            yield at, mask


def _form(mask: Mask) -> str:
    parts = [f"normalise {mask.normalise or 'none'}"]
    if mask.region is not None:
        parts.append(f"region {mask.region}")
    if mask.as_ not in (None, "hex"):
        parts.append(f"as {mask.as_}")
    return ", ".join(parts)
