"""Adding columns to replica.yaml, as a person would: nothing else in the file changes.

Here: where a new line belongs, and proof that nothing else was changed before the file is replaced.
Not here: which rules are added (masking.suggest).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

import yaml

from analytics_replica.cli.init.names import in_yaml
from analytics_replica.cli.rules_in_yaml import in_one_line, with_reason
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.masking.suggest import Suggestion
from analytics_replica.settings.load import Settings, settings_of

Added = Mapping[TableName, Mapping[str, Suggestion]]

_UNFINISHED: Final = ".writing"


def add_columns(settings: Settings, added: Added) -> None:
    """Adds these columns to their tables in the file, each behind the last one, with its reason.

    Comments, order and every other rule stay. SettingsInvalid, and the file as it was, if the new
    text would not say exactly that.
    """
    text = settings.file.read_text(encoding="utf-8")
    changed = with_columns(text, added)
    _require_same(settings, changed, added)
    beside = settings.file.with_name(settings.file.name + _UNFINISHED)
    beside.write_text(changed, encoding="utf-8", newline="")
    beside.replace(settings.file)


def with_columns(text: str, added: Added) -> str:
    """The text with these columns in it; pure."""
    found = _columns_nodes(text)
    # From the end of the file to its beginning, so that the places before stay where they are.
    for table in sorted(added, key=lambda one: -found[one].start_mark.index):
        node = found[table]
        text = (_in_flow if node.flow_style else _in_block)(text, node, added[table])
    return text


def _columns_nodes(text: str) -> dict[TableName, yaml.MappingNode]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found: dict[TableName, yaml.MappingNode] = {}
    for table, rules in _entries(_value(root, "tables")):
        columns = _value(rules, "columns")
        if isinstance(columns, yaml.MappingNode):
            found[TableName.parse(table)] = columns
    return found


def _entries(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(str(key.value), value) for key, value in node.value]


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return dict(_entries(node)).get(key)


def _in_flow(text: str, node: yaml.MappingNode, columns: Mapping[str, Suggestion]) -> str:
    """`{id: keep}` gets more between its braces, where no comment can stand."""
    at = node.end_mark.index - 1
    before = text[:at].rstrip()
    more = ", ".join(f"{in_yaml(name)}: {in_one_line(one.rule)}" for name, one in columns.items())
    return f"{before}{'' if before.endswith(',') else ','} {more}{text[at:]}"


def _in_block(text: str, node: yaml.MappingNode, columns: Mapping[str, Suggestion]) -> str:
    indent = " " * node.start_mark.column
    lines = text.splitlines(keepends=True)
    at = _last_line(node) + 1
    if not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    new = [f"{indent}{in_yaml(name)}: {with_reason(one)}\n" for name, one in columns.items()]
    return "".join([*lines[:at], *new, *lines[at:]])


def _last_line(node: yaml.Node) -> int:
    """The line on which the last value ends; a block's own end is where the next one begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.line)


def _require_same(settings: Settings, changed: str, added: Added) -> None:
    expected = {
        table: {
            **rules.columns,
            **{name: one.rule for name, one in added.get(TableName.parse(table), {}).items()},
        }
        for table, rules in settings.replica.tables.items()
    }
    tables = {
        table: rules.model_copy(update={"columns": expected[table]})
        for table, rules in settings.replica.tables.items()
    }
    wanted = settings.replica.model_copy(update={"tables": tables})
    with contextlib.suppress(SettingsInvalid):
        if settings_of(changed, settings.file, settings.secrets.environ).replica == wanted:
            return
    raise SettingsInvalid(
        what=f"{settings.file.name} is written in a way that lines cannot be added to.",
        why="Its other rules would have changed, or the new ones do not fit them; it was left as "
        "it is.",
        next="Paste what `analytics-replica policy suggest` prints without --write.",
    )
