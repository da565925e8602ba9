"""What happens only at the edge: printing, and reading the environment.

Not here: who may import what (test_import_rule.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from analytics_replica_tests.architecture.repository import Module, modules

PRINTERS = ("analytics_replica/cli/", "analytics_replica/demo/tour.py")
"""Only these print. Everything below returns what it found, or logs it."""

READERS_OF_THE_ENVIRONMENT = (
    "analytics_replica/settings/",
    "analytics_replica/cli/main.py",
    "analytics_replica/definitions.py",
    # Sets variables for the time of one call: dbt and dagster.yaml take values no other way.
    "analytics_replica/orchestration/environment.py",
)
"""Where a process begins, and what it calls at once. Below, values are passed.

Handing the environment on to a program as a whole, `{**os.environ, ...}`, is not reading it.
"""


def test_only_the_command_line_and_the_demos_tour_print() -> None:
    printed = [
        module.at(node)
        for module in _outside(PRINTERS)
        for node in ast.walk(module.tree)
        if _prints(node)
    ]
    assert printed == []


def test_the_environment_is_read_only_where_a_process_begins() -> None:
    read = [
        module.at(node)
        for module in _outside(READERS_OF_THE_ENVIRONMENT)
        for node in _not_handed_on(module.tree)
        if _reads_the_environment(node)
    ]
    assert read == []


def _outside(allowed: tuple[str, ...]) -> list[Module]:
    return [m for m in modules("analytics_replica") if not m.path.startswith(allowed)]


def _prints(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="print" | "pprint" | "input")):
            return True
        case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"):
            return True
        case ast.ImportFrom(module="sys", names=names):
            return any(name.name in {"stdout", "stderr"} for name in names)
        case ast.Import(names=names):
            return any(name.name.split(".")[0] in {"rich", "typer", "click"} for name in names)
        case ast.ImportFrom(module=str(origin)):
            return origin.split(".")[0] in {"rich", "typer", "click"}
        case _:
            return False


def _not_handed_on(tree: ast.Module) -> Iterator[ast.AST]:
    handed_on = {
        id(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if key is None
    }
    return (node for node in ast.walk(tree) if id(node) not in handed_on)


def _reads_the_environment(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=attribute):
            return attribute in {"environ", "environb", "getenv", "getenvb", "putenv"}
        case ast.ImportFrom(module="os", names=names):
            return any("env" in name.name for name in names)
        case _:
            return False
