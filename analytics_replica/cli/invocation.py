"""One call of the command line: which replica.yaml, which environment, how much to tell.

Here: the global options as commands see them, and loading the settings. Not here: reading
`os.environ` (main.py hands it over), any command.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import typer

from analytics_replica.settings.load import Settings, load_settings

CONFIG_VARIABLE: Final = "REPLICA_CONFIG"
"""Names replica.yaml for the command line and, through it, for Dagster's processes."""


@dataclass(frozen=True)
class Invocation:
    """The global options of this call. `environ` is the process's own environment."""

    config: Path
    debug: bool
    environ: MutableMapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, context: typer.Context) -> Invocation:
        """The invocation that the command belongs to."""
        found = context.find_object(cls)
        if found is None:
            raise RuntimeError("a command was called without main.py's global options")
        return found

    def settings(self) -> Settings:
        """The settings that replica.yaml, .env and the environment give; SettingsInvalid if not."""
        return load_settings(self.config, self.environ)

    def settings_for_dagster(self) -> Settings:
        """The same, also put into the process's environment: Dagster and dbt read them there.

        That is how .env and the demo's demo.env reach DAGSTER_HOME and dagster.yaml, and how the
        webserver, the daemon and every run that they start find the same replica.yaml.
        """
        settings = self.settings()
        self.environ.update(settings.secrets.environ)
        self.environ[CONFIG_VARIABLE] = str(settings.file)
        return settings
