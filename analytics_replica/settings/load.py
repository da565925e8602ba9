"""Reading replica.yaml and the environment, once, at the edge.

Here: `load_settings`, and errors that name the key, the file, the line and the nearest valid key.
Not here: the keys themselves (schema.py). Below this module, values are passed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dotenv
import yaml
from pydantic import BaseModel, ValidationError

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.consistency import Rules, RuleUnfit, rules_of
from analytics_replica.settings.rules import ClassRule
from analytics_replica.settings.schema import ReplicaFile, TableRules
from analytics_replica.settings.secrets import MaskingKeys, Secrets

ENVIRONMENT_FILES: Final = (".env", ".demo/demo.env")
"""Read beside replica.yaml, the first that exists; the real environment wins over both."""


KeyPath = tuple[str, ...]
Lines = Mapping[KeyPath, int]
"""Path of keys → the line on which the last of them stands."""


@dataclass(frozen=True)
class Settings:
    """Everything that a person decides, checked and immutable. Paths are absolute.

    The rules in `tables` and `patterns` are resolved: no class brings anything any more.
    """

    file: Path
    replica: ReplicaFile
    tables: Mapping[TableName, TableRules]
    patterns: Mapping[str, ClassRule]
    secrets: Secrets
    lines: Lines = field(default_factory=dict, repr=False, compare=False)

    @property
    def root(self) -> Path:
        """The directory of replica.yaml, which relative paths in it start from."""
        return self.file.parent

    def path(self, relative: Path) -> Path:
        """A path of replica.yaml as an absolute one."""
        return (self.root / relative).absolute()

    @property
    def landing_url(self) -> str:
        """Landing's URL; a plain path is made absolute."""
        url = self.replica.landing.url
        return url if "://" in url else str(self.path(Path(url)))

    @property
    def landing_options(self) -> dict[str, Any]:
        """What landing's fsspec driver is told; SettingsInvalid if a secret is not set."""
        landing = self.replica.landing
        secrets = {name: self.secrets.get(at) for name, at in landing.secrets.items()}
        return {**landing.options, **secrets}

    def line_of(self, table: TableName, column: str | None = None) -> int:
        """The line of replica.yaml that says what happens to the table, or to its column."""
        written = next(w for w in self.replica.tables if TableName.parse(w) == table)
        below = () if column is None else ("columns", column)
        return _line(self.lines, ("tables", written, *below))

    def staging_name(self, table: TableName) -> str:
        """The table's name in staging, and in asset keys."""
        return self.tables[table].alias or table.name


def load_settings(file: Path, environ: Mapping[str, str]) -> Settings:
    """The checked settings of this replica.yaml with values from the environment beside it.

    SettingsInvalid names the first thing that is wrong: the key, the line, and what would fit.
    """
    file = file.absolute()
    return settings_of(_text(file), file, environ)


def settings_of(text: str, file: Path, environ: Mapping[str, str]) -> Settings:
    """As `load_settings`, for a text that stands, or stood, in this file."""
    data, lines = _parse(file, text)
    try:
        replica = ReplicaFile.model_validate(data)
    except ValidationError as cause:
        raise _explained(file, lines, cause) from None
    try:
        rules = rules_of(replica)
    except RuleUnfit as cause:
        raise _wrong(file, lines, cause.at, cause.reason) from None
    known = {**_environment_file(file.parent), **environ}
    tables = dict(_tables(file, lines, replica, rules))
    return Settings(file, replica, tables, rules.patterns, Secrets(known), lines)


def masking_keys(settings: Settings) -> MaskingKeys:
    """The masking keys of these settings, read now and length-checked."""
    return MaskingKeys.read(settings.replica.masking, settings.secrets, settings.root)


def _environment_file(folder: Path) -> dict[str, str]:
    for name in ENVIRONMENT_FILES:
        if (folder / name).is_file():
            found = dotenv.dotenv_values(folder / name, interpolate=False)
            return {key: value for key, value in found.items() if value is not None}
    return {}


def _tables(
    file: Path, lines: Lines, replica: ReplicaFile, resolved: Rules
) -> Iterator[tuple[TableName, TableRules]]:
    taken: dict[str, str] = {}
    for written, rules in replica.tables.items():
        at = f"{file.name} line {_line(lines, ('tables', written))}"
        try:
            table = TableName.parse(written)
        except ValueError:
            raise SettingsInvalid(
                what=f"{at}: `tables.{written}` is not written as schema.name.",
                why="A table is found by its schema and its name.",
                next='Write for example `shop.orders`, or `"My Schema"."My Table"`.',
            ) from None
        alias = rules.alias or table.name
        if alias in taken:
            raise SettingsInvalid(
                what=f"{at}: {written} and {taken[alias]} would both be staging.{alias}.",
                why="Two tables cannot share one name in staging.",
                next=f"Give one of them an `alias`, for example {table.schema}_{table.name}.",
            )
        taken[alias] = written
        yield table, rules.model_copy(update={"columns": resolved.tables[written]})


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except OSError as cause:
        reason = str(cause.strerror)
    raise SettingsInvalid(
        what=f"{file} cannot be read: {reason}.",
        why="Nothing is known of what to copy, mask and publish.",
        next="Run in the directory of replica.yaml, pass --config, or write one with "
        "`analytics-replica init`.",
    )


def _parse(file: Path, text: str) -> tuple[Any, Lines]:
    lines: dict[KeyPath, int] = {}
    try:
        _index(file, yaml.compose(text, Loader=yaml.SafeLoader), (), lines)
        return yaml.safe_load(text), lines
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        at = f" line {mark.line + 1}" if mark is not None else ""
        raise SettingsInvalid(
            what=f"{file.name}{at} is not valid YAML: {getattr(cause, 'problem', 'unreadable')}.",
            why="Nothing was started.",
            next="Fix the line; indentation uses spaces.",
        ) from None


def _index(file: Path, node: yaml.Node | None, at: KeyPath, lines: dict[KeyPath, int]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for position, element in enumerate(node.value):
            lines[(*at, str(position))] = element.start_mark.line + 1
            _index(file, element, (*at, str(position)), lines)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*at, str(key.value))
            if path in lines:
                raise SettingsInvalid(
                    what=f"{file.name} line {key.start_mark.line + 1}: `{key.value}` stands twice "
                    f"(first in line {lines[path]}).",
                    why="YAML would silently keep only the last one.",
                    next="Remove one of them.",
                )
            lines[path] = key.start_mark.line + 1
            _index(file, value, path, lines)


def _explained(file: Path, lines: Lines, cause: ValidationError) -> SettingsInvalid:
    # Of a value that may be one of several things, the deepest complaint is about the best match;
    # a mistyped key is both unknown and missing, and the unknown one is what to fix.
    problems = cause.errors(include_url=False, include_input=False)
    telling = ("value_error", "extra_forbidden")
    problem = max(problems, key=lambda p: (len(p["loc"]), p["type"] in telling))
    said = problem["msg"].removeprefix("Value error, ")
    path = _named(lines, _written(lines, problem["loc"]), said)
    if problem["type"] != "missing":
        while path and path not in lines:
            path = path[:-1]
    if problem["type"] == "extra_forbidden":
        valid = _valid_keys(path[:-1])
        near = difflib.get_close_matches(path[-1], valid, n=1, cutoff=0.5)
        hint = f"Did you mean `{near[0]}`?" if near else "Remove it."
        return SettingsInvalid(
            what=f"{file.name} line {_line(lines, path)}: unknown key `{'.'.join(path)}`.",
            why="A key that nobody reads is a decision that has no effect.",
            next=f"{hint} Valid keys there: {', '.join(valid)}.",
        )
    return _wrong(file, lines, path, said)


def _wrong(file: Path, lines: Lines, path: KeyPath, reason: str) -> SettingsInvalid:
    return SettingsInvalid(
        what=f"{file.name} line {_line(lines, path)}: `{'.'.join(path) or 'the file'}`: {reason}.",
        why="The settings are checked whole before anything runs.",
        next="Fix it; docs/reference/replica-yaml.md lists every key.",
    )


def _written(lines: Lines, steps: Sequence[int | str]) -> KeyPath:
    """The path without the names that pydantic adds where a value may be several things.

    A column may be called like one of them.
    """
    path: KeyPath = ()
    for step in map(str, steps):
        is_pydantics = step == "Mask" or step.startswith(("literal[", "function-"))
        if (*path, step) in lines or not is_pydantics:
            path = (*path, step)
    return path


def _named(lines: Lines, path: KeyPath, said: str) -> KeyPath:
    """The one key below the path that the complaint names, if it names one; else the path."""
    for word in re.findall(r"[`']([^`']+)[`']|^(\w+)", said):
        below = [
            p for p in lines if p[: len(path)] == path and p[-1] in word and len(p) > len(path)
        ]
        if len(below) == 1:
            return below[0]
    return path


def _line(lines: Lines, path: KeyPath) -> int:
    """The line of the path, or of what stands nearest above it."""
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)


def _valid_keys(path: KeyPath) -> list[str]:
    model: Any = ReplicaFile
    for part in path:
        fields = _fields(model)
        if part in fields:
            model = _inner(fields[part])
    return sorted(_fields(model))


def _fields(model: Any) -> dict[str, Any]:
    """The keys as replica.yaml writes them → what they hold."""
    if not _is_model(model):
        return {}
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _inner(annotation: Any) -> Any:
    """The first model inside an annotation such as `dict[str, Literal[…] | Mask]`."""
    if _is_model(annotation):
        return annotation
    inside = (_inner(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inside if _is_model(model)), None)
