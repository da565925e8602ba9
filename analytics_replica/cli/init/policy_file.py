"""The text of a first replica.yaml: every table and column listed, with a reason where it counts.

Here: writing suggestions as commented YAML. Not here: the suggestions (masking.suggest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Final

from analytics_replica.cli.init.names import distinct, in_yaml, is_plain, snake
from analytics_replica.domain.batches import RESERVED_PREFIX
from analytics_replica.domain.tables import Identity, Table, TableName
from analytics_replica.masking.signs import NULL
from analytics_replica.masking.suggest import Suggestion, suggest
from analytics_replica.settings.rules import Mask

UNDECIDED: Final = "# decide:"


@dataclass(frozen=True)
class Draft:
    """What a first replica.yaml says of the tables of one database.

    `staging_names` and `suggestions` are of the tables that can be captured; `left_out` says why
    the others cannot yet.
    """

    tables: Mapping[TableName, Table]
    staging_names: Mapping[TableName, str]
    suggestions: Mapping[TableName, Mapping[str, Suggestion]]
    left_out: Mapping[TableName, str] = field(default_factory=dict)

    @property
    def captured(self) -> Sequence[Table]:
        """The tables that are not left out, in order."""
        return [table for name, table in self.tables.items() if name not in self.left_out]

    def count(self) -> dict[str, int]:
        """How many columns are kept, masked, dropped and waiting for a decision."""
        counted = {"kept": 0, "masked": 0, "dropped": 0, "to decide": 0}
        for table in self.captured:
            for suggestion in self.suggestions[table.name].values():
                counted[_sort(suggestion)] += 1
        return counted


def draft(tables: Mapping[TableName, Table]) -> Draft:
    """The draft for these tables; names in staging are plain, and none occurs twice."""
    ordered = dict(sorted(tables.items()))
    left_out = {n: why for n, table in ordered.items() if (why := _why_left_out(table))}
    captured = [table for name, table in ordered.items() if name not in left_out]
    return Draft(
        ordered,
        _staging_names([table.name for table in captured]),
        {name: _suggested(table) for name, table in ordered.items()},
        left_out,
    )


def tables_section(of: Draft) -> str:
    """The `tables:` section; a table that is left out is there as comments."""
    blocks = ["tables:\n"]
    for name, table in of.tables.items():
        lines = list(_table_lines(of, table))
        why = of.left_out.get(name)
        if why is None:
            blocks.append("".join(f"  {line}\n" for line in lines))
        else:
            head = wrap(f"{UNDECIDED} left out, because {why}", 96, subsequent_indent="#   ")
            blocks.append("".join(f"  {line}\n" for line in [*head, *(f"# {n}" for n in lines)]))
    return "\n".join(blocks)


def _table_lines(of: Draft, table: Table) -> Sequence[str]:
    lines = [f"{in_yaml(str(table.name))}:"]
    alias = of.staging_names.get(table.name, table.name.name)
    if alias != table.name.name:
        lines.append(f"  alias: {in_yaml(alias)}")
    lines.append("  columns:")
    for column, suggestion in of.suggestions[table.name].items():
        lines.append(f"    {in_yaml(column)}: {_rule(suggestion)}{_comment(suggestion)}")
    return lines


def _rule(suggestion: Suggestion) -> str:
    rule = suggestion.rule
    if not isinstance(rule, Mask):
        return rule
    parts = {"mask": f'"{rule.mask}"' if rule.mask == "null" else rule.mask}
    if rule.domain is not None:
        parts["domain"] = in_yaml(rule.domain)
    if rule.normalise is not None:
        parts["normalise"] = rule.normalise
    if rule.mask == "json":
        kept = (f"{in_yaml(path)}: {to}" for path, to in rule.paths.items())
        parts["paths"] = "{" + ", ".join(kept) + "}"
    return "{" + ", ".join(f"{key}: {value}" for key, value in parts.items()) + "}"


def _comment(suggestion: Suggestion) -> str:
    if suggestion.decide:
        return f"   {UNDECIDED} {suggestion.reason}"
    # What is kept speaks for itself: a number, a time, a code.
    return "" if suggestion.rule == "keep" else f"   # {suggestion.reason}"


def _sort(suggestion: Suggestion) -> str:
    if suggestion.decide:
        return "to decide"
    if isinstance(suggestion.rule, Mask):
        return "masked"
    return "kept" if suggestion.rule == "keep" else "dropped"


def _suggested(table: Table) -> Mapping[str, Suggestion]:
    """The suggestions, without `drop` where the table logs whole rows.

    PostgreSQL publishes such a table with all of its columns or refuses its updates.
    """
    found = suggest(table)
    if table.identity is not Identity.FULL:
        return found
    secret = Suggestion(NULL, "a secret; not dropped, for a table that logs whole rows is not cut")
    return {name: secret if one.rule == "drop" else one for name, one in found.items()}


def _why_left_out(table: Table) -> str | None:
    """Why capturing this table as it is would harm production, or cannot work; None if it can.

    PostgreSQL refuses updates and deletes of a published table whose rows nothing identifies: the
    shop would stand still.
    """
    if any(column.name.startswith(RESERVED_PREFIX) for column in table.columns):
        return f"a column's name begins with {RESERVED_PREFIX}, as ours do"
    if table.identity is Identity.NOTHING or (
        not table.key and table.identity is not Identity.FULL
    ):
        return (
            "nothing identifies its rows: once published, production would refuse its updates and "
            "deletes; give it a primary key, or replica identity full, first"
        )
    return None


def _staging_names(captured: Sequence[TableName]) -> dict[TableName, str]:
    """A plain, distinct name for each table: its own where possible, else with its schema."""
    names = [table.name for table in captured]
    wanted: dict[TableName, str] = {}
    for table in captured:
        if names.count(table.name) == 1 and is_plain(table.name):
            wanted[table] = table.name
    for table in captured:
        if table not in wanted:
            schema, own = snake(table.schema, "schema"), snake(table.name, "relation")
            taken = names.count(table.name) > 1 or own in wanted.values()
            wanted[table] = f"{schema}_{own}" if taken else own
    given = distinct(wanted)
    return {table: given[table] for table in captured}
