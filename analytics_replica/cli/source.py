"""`source sql`: what the DBA runs once on production.

Here: the command. Not here: the script (source.dba), checking that it ran (`doctor`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.terminal import note
from analytics_replica.cli.usage import epilog
from analytics_replica.errors import SettingsInvalid
from analytics_replica.postgres.connect import parts_of
from analytics_replica.settings.load import Settings
from analytics_replica.source.dba import Preparation
from analytics_replica.source.publications import Wanted

SQL_EPILOG: Final = epilog("analytics-replica source sql --output prepare.sql", SettingsInvalid)

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="What production needs once, before it can be captured.",
)


@app.command("sql", epilog=SQL_EPILOG)
def sql_command(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option(help="Write the script to this file instead of stdout.")
    ] = None,
) -> None:
    """Print the SQL that a DBA runs on production: role, publication, slot. Nothing is run."""
    script = script_of(Invocation.of(context).settings())
    if output is None:
        typer.echo(script, nl=False)
        return
    output.write_text(script, encoding="utf-8")
    note(f"Written to {output}; have the DBA run it with `psql -f {output}` on production.")


def script_of(settings: Settings) -> str:
    """The script for these settings; role and database are those of the source's DSN.

    SettingsInvalid if the DSN names none, for then nobody knows whom to give the rights.
    """
    source = settings.replica.source
    parts = parts_of(settings.secrets.get(source.dsn))
    missing = [part for part in ("user", "dbname") if part not in parts]
    if missing:
        raise SettingsInvalid(
            what=f"The DSN in {source.dsn.env} names no {' and no '.join(missing)}.",
            why="The script gives one role the right to read the log of one database.",
            next="Write it as postgresql://role@host:port/database.",
        )
    return Preparation(parts["user"], parts["dbname"], source, Wanted.of(settings)).script()
