"""Reading replica.yaml and the environment, once, at the edge.

Here: `load_settings`, and errors that name the key, the file, the line and the nearest valid key.
Not here: the keys themselves (schema.py). Below this module, values are passed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dotenv
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.consistency import Rules, RuleUnfit, rules_of
from analytics_replica.settings.rules import ClassRule
from analytics_replica.settings.schema import ReplicaFile, TableRules
from analytics_replica.settings.secrets import MaskingKeys, Secrets

ENVIRONMENT_FILES: Final = (".env", ".demo/demo.env")
"""Read beside replica.yaml, the first that exists; the real environment wins over both."""


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

    def staging_name(self, table: TableName) -> str:
        """The table's name in staging, and in asset keys."""
        return self.tables[table].alias or table.name


def load_settings(file: Path, environ: Mapping[str, str]) -> Settings:
    """The checked settings of this replica.yaml with values from the environment beside it.

    SettingsInvalid names the first thing that is wrong: the key, the line, and what would fit.
    """
    file = file.absolute()
    data, lines = _parse(file)
    try:
        replica = ReplicaFile.model_validate(data)
    except ValidationError as cause:
        raise _explained(file, lines, cause) from None
    try:
        rules = rules_of(replica)
    except RuleUnfit as cause:
        raise _wrong(file, lines, cause.at, cause.reason) from None
    known = {**_environment_file(file.parent), **environ}
    tables = dict(_tables(file, replica, rules))
    return Settings(file, replica, tables, rules.patterns, Secrets(known))


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
    file: Path, replica: ReplicaFile, resolved: Rules
) -> Iterator[tuple[TableName, TableRules]]:
    taken: dict[str, str] = {}
    for written, rules in replica.tables.items():
        try:
            table = TableName.parse(written)
        except ValueError:
            raise SettingsInvalid(
                what=f"{file.name}: `tables.{written}` is not written as schema.name.",
                why="A table is found by its schema and its name.",
                next='Write for example `shop.orders`, or `"My Schema"."My Table"`.',
            ) from None
        alias = rules.alias or table.name
        if alias in taken:
            raise SettingsInvalid(
                what=f"{file.name}: {written} and {taken[alias]} would both be staging.{alias}.",
                why="Two tables cannot share one name in staging.",
                next=f"Give one of them an `alias`, for example {table.schema}_{table.name}.",
            )
        taken[alias] = written
        yield table, rules.model_copy(update={"columns": resolved.tables[written]})


def _parse(file: Path) -> tuple[Any, dict[tuple[str, ...], int]]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as cause:
        raise SettingsInvalid(
            what=f"{file} cannot be read: {cause.strerror}.",
            why="Nothing is known of what to copy, mask and publish.",
            next="Run in the directory of replica.yaml, pass --config, or write one with "
            "`analytics-replica init`.",
        ) from None
    lines: dict[tuple[str, ...], int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _index(file, node, (), lines)
        return yaml.safe_load(text), lines
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        at = f" line {mark.line + 1}" if mark is not None else ""
        raise SettingsInvalid(
            what=f"{file.name}{at} is not valid YAML: {getattr(cause, 'problem', 'unreadable')}.",
            why="Nothing was started.",
            next="Fix the line; indentation uses spaces.",
        ) from None


def _index(
    file: Path, node: yaml.Node | None, at: tuple[str, ...], lines: dict[tuple[str, ...], int]
) -> None:
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


def _explained(
    file: Path, lines: Mapping[tuple[str, ...], int], cause: ValidationError
) -> SettingsInvalid:
    # Of a value that may be one of several things, the deepest complaint is about the best match;
    # a mistyped key is both unknown and missing, and the unknown one is what to fix.
    problems = cause.errors(include_url=False, include_input=False)
    telling = ("value_error", "extra_forbidden")
    problem = max(problems, key=lambda p: (len(p["loc"]), p["type"] in telling))
    steps = (str(part) for part in problem["loc"])
    # pydantic puts its own names between ours where a value may be one of several things.
    path = tuple(s for s in steps if s != "Mask" and not s.startswith(("literal[", "function-")))
    while path and path not in lines and path[:-1] in lines:
        if problem["type"] == "missing":
            break
        path = path[:-1]
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], _valid_keys(path[:-1]), n=1, cutoff=0.5)
        hint = f"Did you mean `{near[0]}`?" if near else "Remove it."
        valid = ", ".join(sorted(_valid_keys(path[:-1])))
        line = _line(lines, path)
        return SettingsInvalid(
            what=f"{file.name} line {line}: unknown key `{'.'.join(path)}`.",
            why="A key that nobody reads is a decision that has no effect.",
            next=f"{hint} Valid keys there: {valid}.",
        )
    return _wrong(file, lines, path, problem["msg"].removeprefix("Value error, "))


def _wrong(
    file: Path, lines: Mapping[tuple[str, ...], int], path: tuple[str, ...], reason: str
) -> SettingsInvalid:
    return SettingsInvalid(
        what=f"{file.name} line {_line(lines, path)}: `{'.'.join(path) or 'the file'}`: {reason}.",
        why="The settings are checked whole before anything runs.",
        next="Fix it; docs/reference/replica-yaml.md lists every key.",
    )


def _line(lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]) -> int:
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)


def _valid_keys(path: tuple[str, ...]) -> list[str]:
    model: Any = ReplicaFile
    for part in path:
        fields = _by_key(model) if _is_model(model) else {}
        if part in fields:
            model = _inner(fields[part].annotation)
    return sorted(_by_key(model)) if _is_model(model) else []


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The model's fields by the keys that a person writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _inner(annotation: Any) -> Any:
    """The first model inside an annotation such as `dict[str, Literal[…] | Mask]`."""
    if _is_model(annotation):
        return annotation
    inside = (_inner(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inside if _is_model(model)), None)
