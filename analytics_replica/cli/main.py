"""The entry point: global options, every command in its place, and what becomes of an error.

Here: reading the process's environment, the one broad `except`, the exit code. Not here: any
command (one file for each group of verbs), how an error looks (terminal.py).
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import typer

from analytics_replica.cli import (
    capture,
    demo,
    doctor,
    erasure,
    init,
    keys,
    landing,
    night,
    policy,
    reconcile,
    recover,
    resync,
    source,
    staging,
    status,
    ui,
)
from analytics_replica.cli.invocation import CONFIG_VARIABLE, Invocation
from analytics_replica.cli.terminal import show_error
from analytics_replica.postgres.firewall import rebuilt
from analytics_replica.postgres.process import protect_process

NAME: Final = "analytics-replica"

app = typer.Typer(
    name=NAME,
    help="A masked, queryable copy of a production PostgreSQL, ready at 04:00 or loud before.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

# In the order of a first day: the demo, one's own database, the nights, a look at it.
app.add_typer(demo.app, name="demo")
app.command("init", epilog=init.EPILOG)(init.init_command)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor_command)
app.add_typer(policy.app, name="policy")
app.add_typer(source.app, name="source")
app.command("capture", epilog=capture.EPILOG)(capture.capture_command)
app.command("resync", epilog=resync.EPILOG)(resync.resync_command)
app.add_typer(keys.app, name="keys")
app.command("recover", epilog=recover.EPILOG)(recover.recover_command)
app.add_typer(landing.app, name="landing")
app.add_typer(staging.app, name="staging")
app.add_typer(erasure.app, name="erasure")
app.command("run", epilog=night.RUN_EPILOG)(night.run_command)
app.command("check", epilog=night.CHECK_EPILOG)(night.check_command)
app.command("reconcile", epilog=reconcile.EPILOG)(reconcile.reconcile_command)
app.command("status", epilog=status.EPILOG)(status.status_command)
app.command("ui", epilog=ui.EPILOG)(ui.ui_command)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(version("analytics-replica"))
        raise typer.Exit


@app.callback()
def global_options(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option(envvar=CONFIG_VARIABLE, help="The replica.yaml to work with.")
    ] = Path("replica.yaml"),
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where in the code an error came from; never values."),
    ] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=lambda wanted: _version(wanted=wanted),
        ),
    ] = False,
) -> None:
    """Options that stand before the command."""
    context.obj = Invocation(config, debug, os.environ)


def main() -> None:
    """Runs the command line and ends the process with the exit code that the outcome has."""
    protect_process()
    try:
        app(prog_name=NAME)
    except Exception as cause:  # noqa: BLE001 - the one broad except: a person is told, in any case
        error = rebuilt(cause)
    else:
        return
    # Again, for typer has put its own hook there. Outside of the `except`: if showing fails, too,
    # the first exception must not be its context.
    protect_process()
    show_error(error, traced="--debug" in sys.argv)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
