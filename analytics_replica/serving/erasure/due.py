"""When what is found of a person in staging and in the histories goes, as replica.yaml has it.

Here: the words for the receipt. Not here: removing anything (staging.remnants), searching.
"""

from __future__ import annotations

from analytics_replica.settings.load import Settings
from analytics_replica.settings.schema import TableRules


def leaves_staging(settings: Settings, relation: str) -> str:
    """When a row of this table of staging goes."""
    rules = _rules(settings, relation)
    if rules is not None and rules.deleted == "keep":
        return _remembered(settings, rules)
    return "next apply, if production has deleted it; else it stays"


def leaves_history(settings: Settings, relation: str) -> str:
    """When the versions of a row go from this history."""
    rules = _rules(settings, relation)
    if rules is None or not rules.history:
        return "never by itself: replica.yaml asks for no such history any more, drop it"
    return _remembered(settings, rules)


def _remembered(settings: Settings, rules: TableRules) -> str:
    days = rules.days_of_deleted(settings.replica.landing)
    return f"first apply {days} days after production has deleted it (`deleted_days`)"


def _rules(settings: Settings, relation: str) -> TableRules | None:
    names = {settings.staging_name(table): rules for table, rules in settings.tables.items()}
    return names.get(relation)
