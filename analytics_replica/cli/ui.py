"""`ui`: Dagster's webserver and daemon for this replica, on this machine.

Here: starting them, and ending them together with us. Not here: the graph they load (definitions).
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import typer

from analytics_replica.cli.dagster_home import dagster_home
from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.terminal import note, say
from analytics_replica.cli.usage import epilog
from analytics_replica.errors import SettingsInvalid

EPILOG: Final = epilog("analytics-replica ui --port 3000", SettingsInvalid)

LOCALHOST: Final = "127.0.0.1"
"""Dagster's webserver asks nobody for a password, so it listens to this machine only."""

SECONDS_TO_END: Final = 30


def ui_command(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the browser finds it.")] = 3000,
) -> None:
    """Start Dagster's webserver and daemon: the graph, its runs and checks in a browser.

    The daemon runs the schedules and sensors of this replica until you press Ctrl-C.
    """
    invocation = Invocation.of(context)
    settings = invocation.settings_for_dagster()
    dagster_home(settings)
    say(f"http://{LOCALHOST}:{port}  (ready in about 20 seconds; Ctrl-C ends it)", "bold")
    note("Schedules run while this runs: the night, and captures through the day.")
    code = _until_it_ends(command(port), invocation.environ, settings.root)
    raise typer.Exit(code)


def workspace() -> Path:
    """The workspace that names our code location, as the top of the repository does.

    The name matters: schedules and sensors that somebody switched off are remembered under it.
    """
    return Path(str(resources.files("analytics_replica.cli").joinpath("workspace.yaml")))


def command(port: int) -> list[str]:
    """The command line of `dagster dev`."""
    return [
        *(sys.executable, "-m", "dagster", "dev"),
        *("--workspace", str(workspace())),
        *("--host", LOCALHOST, "--port", str(port)),
        *("--log-level", "warning"),
    ]


def _until_it_ends(arguments: Sequence[str], environ: Mapping[str, str], root: Path) -> int:
    """Runs it in the foreground; 0 if it was ended by an interrupt.

    Dagster ends cleanly on SIGINT only (SIGTERM left children running, facts-dagster.md), and a
    shell's background job has SIGINT ignored, so both are arranged here.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    process = subprocess.Popen(
        list(arguments),
        # dagster loads dbt's project; without this it would parse it again at every start
        env={key: value for key, value in environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        cwd=root,
        start_new_session=True,
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        note("Ending Dagster …")
        process.send_signal(signal.SIGINT)
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return 0
