"""SQL is composed in postgres.identifiers and nowhere else; values are always parameters.

Here: what is given to a driver is neither formatted nor glued. Not here: the quoting itself
(unit tests of postgres.identifiers).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from analytics_replica_tests.architecture.repository import Module, modules

SENDERS = {
    "execute",
    "executemany",
    "executescript",
    "execute_values",
    "execute_batch",
    "copy_expert",
    "adbc_execute",
    "sql",
    "query",
}
"""Methods of psycopg2, DuckDB and ADBC whose first argument is a statement."""


def test_no_statement_is_formatted_or_glued_where_it_is_executed() -> None:
    glued = [
        module.at(argument)
        for module in modules("analytics_replica")
        for argument in _statements(module)
        if _is_glued(argument) or _name_of(argument) in _glued_names(module)
    ]
    assert glued == []


def test_every_statement_that_is_executed_is_seen_by_this_rule() -> None:
    assert len([s for m in modules("analytics_replica") for s in _statements(m)]) > 10


def _statements(module: Module) -> Iterator[ast.expr]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=[first, *_]) if method in SENDERS:
                yield first


def _is_glued(text: ast.expr) -> bool:
    match text:
        case ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Mod() | ast.Add()):
            return True
        case ast.Call(func=ast.Attribute(attr="format" | "join" | "replace" | "format_map")):
            return True
        case _:
            return False


def _glued_names(module: Module) -> set[str]:
    """Names that are given glued text that looks like a statement, anywhere in the module."""
    found = set()
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_glued(value):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _is_glued(
                value
            ):
                found.add(name)
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add()):
                found.add(name)
            case _:
                continue
    return found


def _name_of(argument: ast.expr) -> str | None:
    return argument.id if isinstance(argument, ast.Name) else None
