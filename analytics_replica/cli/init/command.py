"""`init`: read a catalog, write a first replica.yaml and a dbt base layer for it.

Here: the command, reading the catalog, writing the files. Not here: what is in them
(policy_file.py, gold_project.py). No row is read, nothing is written to the server, and no file is
ever replaced.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import psycopg2.extensions
import typer

from analytics_replica.cli.init.gold_project import gold_project, template
from analytics_replica.cli.init.policy_file import Draft, draft, tables_section
from analytics_replica.cli.terminal import say, show_pairs
from analytics_replica.cli.ui import workspace
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.tables import Table, TableName
from analytics_replica.errors import SettingsInvalid, WarehouseUnreachable
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import connection

EPILOG: Final = epilog(
    "analytics-replica init --from postgresql://me@standby.example/shop --output replica",
    SettingsInvalid,
    WarehouseUnreachable,
)

DSN_VARIABLE: Final = "REPLICA_INIT_DSN"


def init_command(
    dsn: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="DSN",
            envvar=DSN_VARIABLE,
            show_envvar=True,
            help="Any server that has production's schema: a standby, a restored backup, a "
            "staging system. Only its catalog is read.",
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="The directory to write; made if it is not there.")
    ] = Path(),
    schema: Annotated[
        list[str] | None, typer.Option(help="Only tables of this schema; may be given again.")
    ] = None,
) -> None:
    """Write replica.yaml, .env.example, a dbt base layer and a Dagster home for your database.

    Every table and column is listed, likely personal columns are masked, and what nobody can tell
    from a name is NULL and marked `# decide:`. `doctor` then says what is missing.
    """
    tables = _tables(dsn, schema or [])
    drafted = draft(tables)
    if not drafted.captured:
        raise SettingsInvalid(
            what=f"None of the {len(tables)} tables found there can be captured.",
            why="A table needs something that identifies its rows, usually a primary key.",
            next="Name the right database, or other schemas with --schema.",
        )
    database = psycopg2.extensions.parse_dsn(dsn).get("dbname", "shop")
    written = _write(output.absolute(), files_for(drafted, output.absolute(), database))
    _tell(drafted, output, written)


def files_for(of: Draft, output: Path, database: str = "shop") -> dict[str, str]:
    """Every file by its path below `output`."""
    home = output / "dagster_home"
    dagster = resources.files("analytics_replica.demo").joinpath("dagster.yaml")
    settings = dagster.read_text(encoding="utf-8").partition("\n")[2]
    return {
        "replica.yaml": template("replica_head.yaml.tmpl")
        + tables_section(of)
        + template("replica_tail.yaml.tmpl"),
        ".env.example": template("env.tmpl", database=database, dagster_home=str(home)),
        ".gitignore": template("gitignore.tmpl"),
        "workspace.yaml": workspace().read_text(encoding="utf-8"),
        "dagster_home/dagster.yaml": "# Dagster's instance: runs, events and schedules live in a "
        f"PostgreSQL of its own.\n{settings}",
        **{f"dbt_project/{path}": text for path, text in gold_project(of).items()},
    }


def _tables(dsn: str, schemas: list[str]) -> dict[TableName, Table]:
    try:
        psycopg2.extensions.parse_dsn(dsn)
    except psycopg2.ProgrammingError:
        # The driver's message would quote the DSN, with its password.
        raise SettingsInvalid(
            what="The DSN given with --from is not a valid one.",
            why="Nothing was read or written.",
            next="Write it as postgresql://role@host:port/database.",
        ) from None
    with connection(dsn, application="analytics-replica init") as opened:
        opened.set_session(readonly=True)
        found = read_tables(opened)
    unknown = sorted(set(schemas) - {table.schema for table in found})
    if unknown:
        raise SettingsInvalid(
            what=f"There is no table in a schema {unknown[0]}.",
            why="A replica without the tables that were meant would look complete.",
            next="Schemas with tables there: " + ", ".join(sorted({t.schema for t in found})),
        )
    return {name: t for name, t in found.items() if not schemas or name.schema in schemas}


def _write(output: Path, files: dict[str, str]) -> list[Path]:
    """Writes all files, or none if one of them is there already."""
    present = [path for path in files if (output / path).exists()]
    if present:
        more = f" (and {len(present) - 1} more files)" if len(present) > 1 else ""
        raise SettingsInvalid(
            what=f"{output / present[0]} is there already{more}.",
            why="What people wrote is never replaced; nothing was written.",
            next="Name another directory with --output and compare the two.",
        )
    for path, text in files.items():
        target = output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")
    return [output / path for path in files]


def _tell(of: Draft, output: Path, written: list[Path]) -> None:
    counted = of.count()
    say(f"Wrote {len(written)} files for {len(of.captured)} tables to {output.absolute()}.")
    show_pairs({f"columns {what}": f"{number:,}" for what, number in counted.items()})
    for table, why in of.left_out.items():
        say(f"Left out for now: {table}, because {why}.", "yellow")
    config = output / "replica.yaml"
    say("\nNext:")
    say(f"  1. read {config}; decide what is marked `# decide:` (until then it is NULL)")
    say(f"  2. cp {output / '.env.example'} {output / '.env'}   and fill it in")
    say(f"  3. analytics-replica --config {config} doctor   says what is missing, step by step")
