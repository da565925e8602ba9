"""dbt as a program whose errors name classes, SQLSTATEs and objects, never values.

Here: the same command line as `dbt`, with the error firewall where exceptions become texts: what
PostgreSQL refused, what failed in a model, a test or a worker. So run_results.json and what dbt
prints hold no text of another's exception. Not here: starting it (resources.py), what is made of
its results (dbt_runs.py). The three hooks are dbt's private ones; test_dbt_firewall.py fails if
dbt stops using them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from analytics_replica.postgres.firewall import described, raise_alone
from analytics_replica.postgres.process import protect_process

CONTRACT: Final = "contract broken: "

_TOLD: Final = "told_by_the_firewall"
"""Marks the errors that were made here: dbt raises others of the same class, with texts."""


def main() -> None:
    """Runs dbt's command line in this process, behind the firewall."""
    # Only the program itself pays for importing dbt (3 s); others import this module for its name.
    from dbt.adapters.postgres.connections import PostgresConnectionManager  # noqa: PLC0415
    from dbt.cli.main import cli  # noqa: PLC0415
    from dbt.task.base import BaseRunner  # noqa: PLC0415
    from dbt.task.runnable import GraphRunnableTask  # noqa: PLC0415

    protect_process()
    hooked: Any = PostgresConnectionManager
    hooked.exception_handler = _database_errors
    hooked = BaseRunner
    hooked.handle_exception = lambda _runner, cause, _context: told(cause)
    hooked = GraphRunnableTask
    tell = hooked._handle_thread_exception  # noqa: SLF001 - no public way in
    hooked._handle_thread_exception = lambda task, runner, cause: tell(  # noqa: SLF001
        task, runner, told(cause)
    )
    cli()


def told(cause: BaseException | None) -> str:
    """What run_results.json says of a node that failed."""
    from dbt.exceptions import ContractError  # noqa: PLC0415 - see main

    if cause is None:
        return "nothing was said"
    known = getattr(cause, _TOLD, None)
    if known is not None:
        return str(known)
    if isinstance(cause, ContractError):
        return CONTRACT + "; ".join(_mismatches(cause))
    return described(cause)


@contextlib.contextmanager
def _database_errors(manager: Any, sql: str) -> Iterator[None]:
    """Takes the place of the adapter's own translation, which keeps PostgreSQL's whole text."""
    from dbt.adapters.postgres import connections  # noqa: PLC0415 - see main

    del sql
    errors: Any = connections
    try:
        yield
    except errors.DbtRuntimeError as cause:
        error = cause
    except Exception as cause:  # noqa: BLE001 - also what Python types of values raise
        error = errors.DbtDatabaseError(described(cause))
        setattr(error, _TOLD, described(cause))
        with contextlib.suppress(Exception):
            manager.rollback_if_open()
    else:
        return
    raise_alone(error)


def _mismatches(cause: Any) -> Iterator[str]:
    """The columns that model and contract do not share, by name and type."""
    made = {column["name"]: column["data_type"] for column in cause.sql_columns}
    promised = {column["name"]: column["data_type"] for column in cause.yaml_columns}
    for name in sorted(made.keys() | promised.keys()):
        if made.get(name) != promised.get(name):
            yield f"{name} is {made.get(name, 'absent')}, not {promised.get(name, 'promised')}"


if __name__ == "__main__":
    main()
