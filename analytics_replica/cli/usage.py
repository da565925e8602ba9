"""What `--help` says below a command's options: an example and the exit codes.

Here: writing that text, the same way for all commands. Not here: the codes themselves (errors.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

from analytics_replica import errors
from analytics_replica.errors import ReplicaError

COMMON: Final = {
    0: "It was done, or what was asked for holds.",
    2: "The command line itself is wrong: an unknown command, option or value.",
    130: "Interrupted (Ctrl-C).",
}
"""The exit codes that do not come from one of our errors."""


def epilog(example: str, *may_end_with: type[ReplicaError]) -> str:
    """The text below a command's options. Paragraphs are set apart by empty lines."""
    codes = ", ".join(f"{error.exit_code} {error.__name__}" for error in may_end_with)
    known = f"0 done, {codes}" if codes else "0 done"
    return f"Example:  {example}\n\nExit codes:  {known}; all in docs/reference/exit-codes.md"


def meaning_of(error: type[ReplicaError]) -> str:
    """The error's docstring as one line."""
    return " ".join((inspect.getdoc(error) or "").split())


def all_errors() -> Iterator[type[ReplicaError]]:
    """Every error that a command may end with, by its exit code."""
    found = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ReplicaError)
    ]
    yield from sorted(found, key=lambda kind: kind.exit_code)
