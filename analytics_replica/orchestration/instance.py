"""Dagster's instance: where runs, events and schedules are kept.

Here: opening it for a command. Not here: dagster.yaml (demo/dagster.yaml, docs/how-to). The
command line imports no dagster, so it gets the instance from here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg

from analytics_replica.errors import SettingsInvalid
from analytics_replica.orchestration.environment import environment
from analytics_replica.settings.load import Settings

STATEMENT_TIMEOUT_MS: Final = 60_000
HOME: Final = "DAGSTER_HOME"


@contextlib.contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME, closed at the end of the block.

    The whole environment of the settings (also what stands in .env) is there for dagster.yaml.
    SettingsInvalid if DAGSTER_HOME is not set or is no directory with a dagster.yaml: a night in a
    throw-away instance would leave no history, no freshness and no alerts.
    """
    known = settings.secrets.environ
    home = Path(known.get(HOME, ""))
    if not known.get(HOME) or not home.is_absolute() or not (home / "dagster.yaml").is_file():
        raise SettingsInvalid(
            what=f"DAGSTER_HOME is {known.get(HOME) or 'not set'}; no dagster.yaml is there.",
            why="Runs, checks and freshness are kept where dagster.yaml says.",
            next="Set DAGSTER_HOME to an absolute directory with a dagster.yaml "
            "(docs/how-to/your-own-database.md shows one).",
        )
    with environment(known), dg.DagsterInstance.from_config(str(home)) as instance:
        # Named for the webserver, but what it does is to keep connections open: without it Dagster
        # opens one for each statement, 1,200 in a night (9 s, 2026-11-21).
        instance.optimize_for_webserver(
            statement_timeout=STATEMENT_TIMEOUT_MS, pool_recycle=3600, max_overflow=20
        )
        yield instance
