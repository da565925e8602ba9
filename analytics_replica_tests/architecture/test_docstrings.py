"""Every module says what belongs in it, and everything public says what it promises.

Not here: how a docstring is written (ruff's rules D).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from analytics_replica_tests.architecture.repository import OURS, Function, modules


def test_every_module_says_what_belongs_in_it() -> None:
    silent = [m.path for m in modules(*OURS) if not ast.get_docstring(m.tree)]
    assert silent == []


def test_every_public_class_and_function_says_what_it_promises() -> None:
    silent = [
        f"{module.at(node)} {node.name}"
        for module in modules("analytics_replica", "benchmarks")
        for node in _public(module.tree)
        if not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_test_is_named_as_a_sentence() -> None:
    short = [
        f"{module.at(function)} {function.name}"
        for module in modules("analytics_replica_tests")
        for function in module.functions()
        if function.name.startswith("test_") and function.name.count("_") < 3
    ]
    assert short == []


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | Function]:
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _public(node)
