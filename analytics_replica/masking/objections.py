"""What speaks against a policy: personal columns that are kept, and rules that cannot work.

Here: looking at every column that passes as it is, by its class, its name, and what a sample says;
and at tables as production has them. Not here: reading the sample or the catalog (landing,
postgres), exit codes (cli). No value is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from analytics_replica.domain.tables import Relations, Table, TableName
from analytics_replica.masking.evidence import Evidence
from analytics_replica.masking.kinds import Kind, words_of
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.references import clashes
from analytics_replica.masking.signs import Sign, sign_of
from analytics_replica.settings.load import Settings
from analytics_replica.settings.rules import ColumnRule, Mask

_V4_BITS: Final = 32
_V6_BITS: Final = 128

BECAUSE: Final = 'Give it a class, or write {mask: keep, because: "…"} if it may pass all the same.'


@dataclass(frozen=True, slots=True)
class Objection:
    """What speaks against one rule: the line of replica.yaml, why, and what to do."""

    table: TableName
    column: str
    line: int
    reason: str
    then: str


def kept_though_personal(
    settings: Settings, production: Mapping[TableName, Table]
) -> Iterator[Objection]:
    """Columns (and paths of documents) that are kept and are of a class, declared or by name.

    A declared class is never kept. A column that only looks like one passes with a reason
    (`because`). Types are those of `production`, where they are known.
    """
    for table, rules in settings.tables.items():
        known = production.get(table)
        types = {c.name: Kind.of(c) for c in known.columns} if known is not None else {}
        for column, rule in rules.columns.items():
            line = settings.line_of(table, column)
            kind = types.get(column, Kind.guessed(words_of(column)))
            for reason, then in _against(table, column, kind, rule):
                yield Objection(table, column, line, reason, then)


def kept_though_seen(
    settings: Settings, evidence: Mapping[TableName, Mapping[str, Evidence]]
) -> Iterator[Objection]:
    """Columns that are kept without a reason and in whose sampled values something personal is."""
    for table, rules in settings.tables.items():
        for column, rule in rules.columns.items():
            seen = evidence.get(table, {}).get(column)
            if rule == "keep" and seen is not None and seen.traces is not None:
                line = settings.line_of(table, column)
                yield Objection(table, column, line, f"it is kept, and {seen}", BECAUSE)


def against_production(
    settings: Settings,
    production: Mapping[TableName, Table],
    relations: Relations,
    *,
    whole: bool,
) -> Iterator[Objection]:
    """Where the policy does not fit the tables of production: columns, rules, and keys.

    `whole` says that `production` has every table there is, so that one that is missing there is
    missing.
    """
    policy = Policy.from_settings(settings)
    for name in policy.tables:
        table = production.get(name)
        if table is None:
            if whole:
                then = "Correct the name, or remove the table."
                yield Objection(
                    name, "", settings.line_of(name), "production has no such table", then
                )
            continue
        yield from _against_table(settings, policy, table)
    for clash in clashes(policy, relations):
        line = settings.line_of(clash.table, clash.column)
        yield Objection(clash.table, clash.column, line, f"it {clash.what}", clash.then)


def _against_table(settings: Settings, policy: Policy, table: Table) -> Iterator[Objection]:
    name = table.name
    for column in policy.unlisted(table):
        yield Objection(
            name,
            column,
            settings.line_of(name),
            "production has it, and the policy does not list it",
            f"`analytics-replica policy suggest {name}` proposes a rule.",
        )
    for column in policy.absent(table):
        yield Objection(
            name,
            column,
            settings.line_of(name, column),
            "the policy lists it, and production does not have it",
            "Correct the name, or remove the column.",
        )
    typed = Table(name, tuple(c for c in table.columns if c.type_oid), table.identity, table.oid)
    unlisted = set(policy.unlisted(table))
    for fault in policy.faults(policy.captured(typed)):
        if fault.column not in unlisted:
            line = settings.line_of(name, fault.column)
            yield Objection(name, fault.column, line, fault.reason, fault.then)


def _against(
    table: TableName, column: str, kind: Kind, rule: ColumnRule
) -> Iterator[tuple[str, str]]:
    if rule == "keep":
        if (sign := _sign(table, column, kind)) is not None:
            yield f"it is kept, and by its name it is {sign.reason} (class {sign.holds})", BECAUSE
    elif isinstance(rule, Mask) and (left := _left_whole(rule)) is not None:
        holds = rule.class_ or getattr(_sign(table, column, kind), "holds", None)
        if holds is not None:
            yield f"it is of class {holds}, and {left}", "Leave less of it, or use a token."
    elif isinstance(rule, Mask) and rule.mask == "keep" and rule.class_ is not None:
        yield f"it is declared as {rule.class_}, and kept", "Remove `mask: keep`, or the class."
    elif isinstance(rule, Mask):
        yield from _against_paths(table, rule)


def _against_paths(table: TableName, rule: Mask) -> Iterator[tuple[str, str]]:
    for path, inner in rule.paths.items():
        # `contact.email.value` holds what `email` says, whatever its last word is.
        found = (
            one
            for word in reversed(path.replace("[]", "").split("."))
            for one in _against(table, word, Kind.TEXT, inner)
        )
        for reason, then in islice(found, 1):
            yield f"path {path}: {reason}", then


def _left_whole(rule: Mask) -> str | None:
    """What a mask leaves whole that was told to leave everything; None if it masks."""
    if rule.mask == "network" and (rule.v4 == _V4_BITS or rule.v6 == _V6_BITS):
        return "its network is the whole address"
    if rule.mask == "bucket" and rule.width == 1:
        return "a bucket of width 1 is the whole number"
    return None


def _sign(table: TableName, column: str, kind: Kind) -> Sign | None:
    return sign_of(words_of(column), kind, words_of(table.name))
