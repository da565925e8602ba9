"""The repository as the architecture tests see it: its files, and their syntax trees.

Here: which files are ours, read once. Not here: any rule (test_*.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

OURS: Final = ("analytics_replica", "analytics_replica_tests", "benchmarks")
"""Where Python is ours; the product is the first."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the top, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        """Where a node is, in the form that editors open."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    def functions(self) -> Iterator[Function]:
        """Every function and method, at any depth."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


@cache
def modules(*packages: str) -> tuple[Module, ...]:
    """Every Python file below these packages, in the order of their paths."""
    found = []
    for path in text_files():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in packages:
            text = path.read_text(encoding="utf-8")
            found.append(Module(relative(path), text, ast.parse(text)))
    assert found, f"no Python was found in {packages}"
    return tuple(found)


@cache
def text_files() -> tuple[Path, ...]:
    """Every file that git would track and that is text, in the order of their paths."""
    return tuple(sorted(path for path in _walk(ROOT, _ignored()) if _is_text(path)))


def relative(path: Path) -> str:
    """The path from the top of the repository."""
    return path.relative_to(ROOT).as_posix()


def _walk(folder: Path, ignored: tuple[str, ...]) -> Iterator[Path]:
    for path in folder.iterdir():
        if any(_matches(path, pattern) for pattern in ignored):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, ignored)
        elif path.is_file():
            yield path


def _matches(path: Path, pattern: str) -> bool:
    if "/" in pattern:
        return fnmatch(relative(path), pattern.strip("/"))
    return fnmatch(path.name, pattern)


def _ignored() -> tuple[str, ...]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return (".git", *(line for line in lines if line and not line.startswith("#")))


def _is_text(path: Path) -> bool:
    try:
        return "\0" not in path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
