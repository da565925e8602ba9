"""A column's rule as one line of replica.yaml.

Here: writing it. Not here: reading it (settings.load), which rule a column gets (masking.suggest).
"""

from __future__ import annotations

from typing import Any

from analytics_replica.cli.init.names import in_yaml
from analytics_replica.masking.suggest import Suggestion
from analytics_replica.settings.rules import ColumnRule, Mask

UNDECIDED = "# decide:"


def in_one_line(rule: ColumnRule) -> str:
    """The rule as replica.yaml writes it: what it says itself, not what a class brings."""
    if not isinstance(rule, Mask):
        return rule
    said = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if rule.mask == "json":
        said.setdefault("paths", {})
    return _flow(said)


def with_reason(suggestion: Suggestion) -> str:
    """The suggested rule with its reason as a comment; what is kept speaks for itself."""
    written = in_one_line(suggestion.rule)
    if suggestion.decide:
        return f"{written}   {UNDECIDED} {suggestion.reason}"
    return written if suggestion.rule == "keep" else f"{written}   # {suggestion.reason}"


def _flow(value: Any) -> str:
    match value:
        case dict():
            inside = (f"{in_yaml(str(key))}: {_flow(one)}" for key, one in value.items())
            return "{" + ", ".join(inside) + "}"
        case "null":
            return '"null"'  # without quotes YAML reads it as nothing
        case bool():
            return str(value).lower()
        case str():
            return in_yaml(value)
        case _:
            return str(value)
