"""The error firewall: whatever went wrong comes out as an error of ours, without a row's value.

Here: any exception rebuilt from its class, SQLSTATE, names of objects and places in the code; the
boundary that every entry into our code stands behind. Not here: what the process itself may print
or leave when no boundary holds (postgres.process), errors that mean something of their own (whoever
knows the meaning raises them).

Nothing is scrubbed: the text of another's exception is never looked at. Its causes and contexts
are cut off as well, because Dagster stores them and Python prints them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from typing import Any, Final, NoReturn

import psycopg2

from analytics_replica.errors import ProgramFault, ReplicaError
from analytics_replica.postgres.connect import refused

PACKAGE: Final = "analytics_replica/"
CHAIN: Final = 5
"""Causes of causes that a trace names; the first ones tell."""

SQLSTATE_LENGTH: Final = 5


def rebuilt(cause: BaseException) -> ReplicaError:
    """The error of ours that says what may be said of this exception; one of ours is itself.

    It has no cause, no context, and a trace: class and place of every frame, also of what it was
    raised from. Calling it again with its result changes nothing.
    """
    trace = trace_of(cause)
    if isinstance(cause, ReplicaError):
        error: ReplicaError = cause
    elif isinstance(cause, psycopg2.Error):
        error = refused(cause)
    else:
        error = _fault(cause)
    error.trace = error.trace or trace
    without_chain(error)
    return error


@contextlib.contextmanager
def only_our_errors() -> Iterator[None]:
    """Lets out of the block only errors of ours, rebuilt if they were not, without any chain.

    An interrupt, an exit and the like pass as they are, without their chain.
    """
    try:
        yield
    except Exception as cause:  # noqa: BLE001 - the boundary: nothing else may pass
        error = rebuilt(cause)
    except BaseException as ending:
        without_chain(ending)
        raise
    else:
        return
    raise_alone(error)


def raise_alone(error: BaseException) -> NoReturn:
    """Raises the error without a context, even while another exception is handled.

    `from None` only hides the context from Python's own printing; whoever serializes the error
    still finds it.
    """
    try:
        raise error
    finally:
        without_chain(error)


def without_chain(error: BaseException) -> None:
    """Cuts off what the error was raised from and what was handled meanwhile."""
    error.__cause__ = None
    error.__context__ = None


def described(cause: BaseException) -> str:
    """What may be said of the exception in a few words: class, SQLSTATE, names, errno.

    `psycopg2.errors.UniqueViolation (SQLSTATE 23505) at staging.orders`.
    """
    code, at = sqlstate(cause), _objects(cause)
    reason = ""
    if isinstance(cause, OSError) and cause.errno is not None:
        reason = f" ({os.strerror(cause.errno)})"
    elif code:
        reason = f" (SQLSTATE {code})"
    return f"{_class(cause)}{reason}{f' at {at}' if at else ''}"


def sqlstate(cause: BaseException) -> str | None:
    """The SQLSTATE that a driver's exception carries, of psycopg2, ADBC or SQLAlchemy."""
    for carrier in (cause, getattr(cause, "orig", None)):
        for attribute in ("pgcode", "sqlstate"):
            code = getattr(carrier, attribute, None)
            if isinstance(code, str) and len(code) == SQLSTATE_LENGTH and code.isalnum():
                return code
    return None


def places(cause: BaseException) -> tuple[str, ...]:
    """Where the exception passed: `file:line function` of every frame, outermost first."""
    return tuple(
        f"{_file(frame.f_code.co_filename)}:{line} {frame.f_code.co_qualname}"
        for frame, line in walk_tb(cause.__traceback__)
    )


def trace_of(cause: BaseException) -> tuple[str, ...]:
    """Class and places of the exception, then of those behind it; the exception stays as it is."""
    lines: list[str] = []
    at: BaseException | None = cause
    for _ in range(CHAIN):
        if at is None:
            break
        lines += [described(at), *(f"  {place}" for place in places(at))]
        if isinstance(at, BaseExceptionGroup):
            lines += [f"  with {described(part)}" for part in at.exceptions]
        at = at.__cause__ or at.__context__
    return tuple(lines)


def _fault(cause: BaseException) -> ProgramFault:
    passed = places(cause)
    ours = [place for place in passed if place.startswith(PACKAGE)]
    at = (ours or list(passed) or ["an unknown place"])[-1]
    return ProgramFault(
        what=f"{described(cause)} in {at}, which nobody expected.",
        why="This is a fault of the program. Its text is not shown, for it may quote a row.",
        next="Report it with the places in the code (--debug shows them all; they hold no value).",
    )


def _class(cause: BaseException) -> str:
    kind = type(cause)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def _objects(cause: BaseException) -> str:
    """The objects that PostgreSQL names in fields of their own, as it names them."""
    diag: Any = getattr(cause, "diag", None) or getattr(getattr(cause, "orig", None), "diag", None)
    parts = ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name")
    return ".".join(name for part in parts if (name := getattr(diag, part, None)))


def _file(path: str) -> str:
    """The path below the directory that it was imported from."""
    file = Path(path)
    for root in sorted(filter(None, sys.path), key=len, reverse=True):
        if file.is_relative_to(root):
            return str(file.relative_to(root))
    return file.name
