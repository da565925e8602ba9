"""Dagster's questions: it has a home, and its database answers.

Here: what must hold before a run can be recorded. Not here: the graph (orchestration).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analytics_replica.cli.dagster_home import dagster_home, storage_dsn
from analytics_replica.cli.doctor.answers import Figures, judged, unknown
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import SettingsInvalid
from analytics_replica.postgres.connect import connection, describe, parts_of
from analytics_replica.settings.load import Settings

HOME: Final = "Dagster has a home"
STORAGE: Final = "Dagster's database answers"


def dagster(settings: Settings) -> Iterator[Verdict]:
    """The answers, in order."""
    home = judged(HOME, lambda: {"directory": str(dagster_home(settings))})
    yield home
    yield (
        judged(STORAGE, lambda: _storage(settings))
        if home.passed
        else unknown(STORAGE, "Dagster has no home")
    )


def _storage(settings: Settings) -> Figures:
    dsn = storage_dsn(settings)
    warehouse = settings.secrets.environ.get(settings.replica.warehouse.dsn.env)
    if warehouse and _database(dsn) == _database(warehouse):
        raise SettingsInvalid(
            what="Dagster's database is the warehouse.",
            why="Its runs and events would lie between the tables that people query.",
            next="Have the DBA make a database of its own for Dagster.",
        )
    with connection(dsn, application="analytics-replica doctor"):
        return {"at": describe(dsn)}


def _database(dsn: str) -> tuple[str | None, ...]:
    parts = parts_of(dsn)
    return tuple(parts.get(part) for part in ("host", "port", "dbname"))
