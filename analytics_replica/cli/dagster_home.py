"""DAGSTER_HOME: where Dagster finds its configuration, and through it its database.

Here: what must be true of it before Dagster is started. Not here: Dagster itself (orchestration).
Dagster has three different errors for a wrong home, and takes a missing one for a wish to forget.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import yaml

from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.load import Settings

VARIABLE: Final = "DAGSTER_HOME"
CONFIGURATION: Final = "dagster.yaml"


def dagster_home(settings: Settings) -> Path:
    """The directory; SettingsInvalid unless it is set, absolute, there, and has a dagster.yaml."""
    written = settings.secrets.environ.get(VARIABLE, "")
    home = Path(written)
    problem = None
    if not written:
        problem = f"The environment variable {VARIABLE} is not set."
    elif not home.is_absolute():
        problem = f"{VARIABLE} is {written}, which is not an absolute path."
    elif not home.is_dir():
        problem = f"{VARIABLE} names {home}, which is not a directory."
    elif not (home / CONFIGURATION).is_file():
        problem = f"{VARIABLE} names {home}, which has no {CONFIGURATION}."
    if problem is not None:
        raise SettingsInvalid(
            what=problem,
            why="Dagster would keep its runs in a temporary place and forget them.",
            next="`analytics-replica init` writes a directory with a dagster.yaml; name it there, "
            "in the environment or in .env. For the demo: `analytics-replica demo run`.",
        )
    return home


def storage_dsn(settings: Settings) -> str:
    """The DSN of Dagster's own database, as libpq reads it.

    SettingsInvalid if dagster.yaml names no PostgreSQL, or a variable that is not set.
    """
    file = dagster_home(settings) / CONFIGURATION
    url = _url(file, settings)
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgresql"):
        raise SettingsInvalid(
            what=f"{file} keeps Dagster's runs elsewhere than in PostgreSQL.",
            why="Files cannot be shared by webserver, daemon and runs, and are not backed up.",
            next="Give it storage: {postgres: {postgres_url: {env: REPLICA_DAGSTER_PG_URL}}}.",
        )
    if parts.scheme == "postgresql":
        raise SettingsInvalid(
            what="The URL of Dagster's database names no driver.",
            why="SQLAlchemy 2.1 reads plain postgresql:// as psycopg 3, which is not installed.",
            next="Write it as postgresql+psycopg2://role@host:port/database.",
        )
    return urlunsplit(parts._replace(scheme="postgresql"))


def _url(file: Path, settings: Settings) -> str:
    try:
        body: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        found = body["storage"]["postgres"]["postgres_url"]
    except (KeyError, TypeError):
        return ""
    except yaml.YAMLError:
        raise SettingsInvalid(
            what=f"{file} is not valid YAML.",
            why="Dagster cannot start without it.",
            next="Mend it, or write it anew with `analytics-replica init`.",
        ) from None
    if not isinstance(found, dict):
        return str(found)
    variable = str(found.get("env"))
    value = settings.secrets.environ.get(variable, "")
    if not value:
        raise SettingsInvalid(
            what=f"The environment variable {variable} is not set.",
            why=f"{file} names it for Dagster's own database.",
            next="Set it in the environment or in .env (see .env.example).",
        )
    return value
