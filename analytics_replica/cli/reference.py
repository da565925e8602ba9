"""The reference pages of docs/, written from what they describe: commands, exit codes, settings.

Here: the text of docs/reference/{cli,exit-codes,replica-yaml}.md. `python -m
analytics_replica.cli.reference` writes them; a test says when they are out of date. Not here:
anything that a person must explain (docs/how-to).
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

import typer.main
from pydantic import BaseModel

from analytics_replica.cli.main import NAME, app
from analytics_replica.cli.usage import COMMON, all_errors, meaning_of
from analytics_replica.masking.strategies import STRATEGIES
from analytics_replica.postgres.type_names import type_name
from analytics_replica.settings import schema
from analytics_replica.settings.rules import Mask
from analytics_replica.settings.schema import FromEnvironment, ReplicaFile, TableRules

GENERATED: Final = "<!-- Written by `python -m analytics_replica.cli.reference`; do not edit. -->"


def cli_page() -> str:
    """Every command with its options, example and exit codes."""
    root: Any = typer.main.get_command(app)
    lines = [
        GENERATED,
        "# The command line",
        "",
        str(root.help),
        "",
        "Options before the command:",
        "",
    ]
    lines += [*_options(root), ""]
    for path, command in _commands(root, ()):
        told = [command.help or "", "\n".join(_options(command)), command.epilog or ""]
        paragraphs = [inspect.cleandoc(text) for text in told if text]
        lines += [f"## {NAME} {' '.join(path)}", "", "\n\n".join(paragraphs), ""]
    return "\n".join(lines).rstrip() + "\n"


def exit_codes_page() -> str:
    """Every exit code, what it means, and whether the same command may succeed later."""
    lines = [
        GENERATED,
        "# Exit codes",
        "",
        "A command that fails prints what happened, why it matters and what to do next on stderr.",
        "",
        "| code | name | meaning | the same again may help |",
        "|---:|---|---|---|",
    ]
    lines += [f"| {code} |  | {meaning} |  |" for code, meaning in COMMON.items()]
    for error in all_errors():
        wait = error.retry.after
        again = f"after {wait.total_seconds():.0f} s" if wait is not None else "no"
        lines.append(f"| {error.exit_code} | {error.__name__} | {meaning_of(error)} | {again} |")
    return "\n".join(lines) + "\n"


def replica_yaml_page() -> str:
    """Every key of replica.yaml: its type, its default, and what it is for; and every mask."""
    lines = [
        GENERATED,
        "# replica.yaml",
        "",
        "Paths are relative to the file. A key that is not listed here is an error. Secrets are",
        "never written here: `{env: NAME}` names the variable that holds one.",
        "",
    ]
    for section, model in _sections():
        lines += [f"## {section}", "", " ".join((inspect.getdoc(model) or "").split()), ""]
        lines += ["| key | value | default | |", "|---|---|---|---|", *_rows(model), ""]
    lines += ["## The masks", "", "NULL stays NULL and the empty text stays empty.", ""]
    lines += [
        "| mask | fits | type in staging | keyed | keeps values apart | keeps joins | lossy |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *_masks()]) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "cli.md": cli_page,
    "exit-codes.md": exit_codes_page,
    "replica-yaml.md": replica_yaml_page,
}


def write_pages(folder: Path) -> None:
    """Writes every page into this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def _commands(group: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*above, name))
        else:
            yield (*above, name), command


def _options(command: Any) -> list[str]:
    return [_option(parameter) for parameter in command.params if parameter.name != "help"]


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    default = parameter.default
    told = "" if default in (None, False, ()) or parameter.required else f" Default: `{default}`."
    variable = f" Variable: `{parameter.envvar}`." if parameter.envvar else ""
    required = " Required." if parameter.required else ""
    return f"- {names}: {parameter.help}{required}{told}{variable}"


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in ReplicaFile.model_fields.items():
        inner = _model_in(field.annotation)
        if name == "tables":
            yield "tables: one entry for each `schema.table`", TableRules
            yield "A column's mask", Mask
        elif inner is not None:
            yield name, inner


def _masks() -> Iterator[str]:
    for name, strategy in STRATEGIES.items():
        fits = "every type"
        if strategy.types is not None:
            named = [type_name(oid, -1) for oid in sorted(strategy.types)]
            fits = ", ".join([*named, *(["enums, domains"] if strategy.own_types else [])])
        promises = (strategy.keyed, strategy.keeps_unique, strategy.keeps_joins, strategy.lossy)
        told = " | ".join("yes" if promise else "no" for promise in promises)
        yield f"| `{name}` | {fits} | {strategy.staging or 'own type of the column'} | {told} |"


def _rows(model: type[BaseModel]) -> Iterator[str]:
    explained = _explanations(model)
    for name, field in model.model_fields.items():
        shown = (
            "required"
            if field.is_required()
            else _shown(field.get_default(call_default_factory=True))
        )
        told = f"{_type(field.annotation)} | {shown} | {explained.get(name, '')}"
        yield f"| `{field.alias or name}` | {told} |"


def _explanations(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each attribute in the source, which is where a key is explained."""
    tree = ast.parse(inspect.getsource(model))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for attribute, below in pairwise(body):
        match attribute, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split()).replace("|", "\\|")
            case _:
                continue
    return found


def _type(annotation: Any) -> str:
    if annotation is FromEnvironment:
        return "`{env: NAME}`"
    if isinstance(annotation, type):
        return _NAMES.get(annotation.__name__, annotation.__name__)
    inside = [argument for argument in get_args(annotation) if argument is not type(None)]
    if re.match(r"(typing\.)?Literal\[", str(annotation)):
        return " or ".join(f"`{value}`" for value in inside)
    if getattr(annotation, "__origin__", None) is dict:
        return f"name → {_type(inside[1])}"
    if getattr(annotation, "__origin__", None) is tuple:
        return f"list of {_type(inside[0])}"
    if hasattr(annotation, "__metadata__"):
        return _type(inside[0])
    return " or ".join(_type(argument) for argument in inside)


_NAMES: Final = {
    "str": "text",
    "int": "number",
    "time": 'time in quotes, `"04:00"`',
    "Path": "path",
    "Mask": "mask (below)",
    "KeySource": "`{env: NAME}` or `{file: path}`",
}


def _shown(default: Any) -> str:
    if default in (None, (), {}):
        return "none"
    return f"`{default:%H:%M}`" if hasattr(default, "hour") else f"`{default}`"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    is_ours = isinstance(annotation, type) and annotation.__module__ == schema.__name__
    return annotation if is_ours and issubclass(annotation, BaseModel) else None


if __name__ == "__main__":
    write_pages(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
