"""`policy suggest`: rules for columns that nobody classified.

Here: the command, the fragment that it prints, its JSON. Not here: the suggestions
(masking.suggest), the sample (landing.sampling), changing replica.yaml (writing.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.init.names import in_yaml
from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.policy.tables import (
    SAMPLED_ROWS,
    CatalogOption,
    JsonOption,
    Production,
    RowsOption,
    SampleOption,
    production_of,
    table_named,
)
from analytics_replica.cli.policy.writing import add_columns
from analytics_replica.cli.rules_in_yaml import UNDECIDED, in_one_line, with_reason
from analytics_replica.cli.terminal import note, say, say_json
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import (
    CopyFailed,
    PolicyViolation,
    SettingsInvalid,
    SourceUnreachable,
    WarehouseUnreachable,
)
from analytics_replica.masking.evidence import Evidence
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.suggest import NOTHING_SEEN, Suggestion, suggest
from analytics_replica.settings.load import Settings

EPILOG: Final = epilog(
    "analytics-replica policy suggest --sample",
    SettingsInvalid,
    PolicyViolation,
    SourceUnreachable,
    CopyFailed,
    WarehouseUnreachable,
)

EveryOption = Annotated[
    bool, typer.Option("--all", help="Also columns that replica.yaml lists already.")
]
WriteOption = Annotated[
    bool, typer.Option("--write", help="Add the unlisted columns of listed tables to the file.")
]

Proposed = Mapping[TableName, Mapping[str, Suggestion]]


def suggest_command(
    context: typer.Context,
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            help="Only these tables; also ones that are not listed yet.", metavar="TABLE…"
        ),
    ] = None,
    catalog: CatalogOption = None,
    sample: SampleOption = False,
    rows: RowsOption = SAMPLED_ROWS,
    every: EveryOption = False,
    write: WriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Propose a rule for every column that nobody classified, as lines for replica.yaml.

    From names and types, and with --sample from values in a physical copy: production's tables are
    never read, and of values only shares are shown. What nobody can tell is NULL and marked
    `# decide:`; nothing uncertain is proposed to be kept.
    """
    if write and every:
        raise typer.BadParameter("--write adds columns; --all is for looking")
    settings = Invocation.of(context).settings()
    named = {table_named(written) for written in tables or ()}
    wanted = named or set(settings.tables)
    known = production_of(
        settings, catalog=catalog, sampled=wanted if sample else None, rows=rows, quiet=as_json
    )
    _require_known(known, named)
    proposed = _proposed(settings, known, wanted, every=every)
    if write:
        proposed = {table: found for table, found in proposed.items() if table in settings.tables}
        add_columns(settings, proposed)
    if as_json:
        say_json({"written": write, "columns": _as_json(proposed, known)})
    else:
        _tell(settings, proposed, known, written=write)


def _require_known(known: Production, named: set[TableName]) -> None:
    if not known.tables:
        raise SettingsInvalid(
            what="Nothing is known yet of production's tables.",
            why="Nothing was landed, source.physical_copy names no copy, and production is not "
            "asked.",
            next="Name a server that has its schema with --catalog DSN, or use --sample.",
        )
    for table in sorted(named - set(known.tables)):
        raise PolicyViolation(
            what=f"There is no table {table} in what is known of production.",
            why="A rule for a table that is not there protects nothing.",
            next="Correct the name, or name a server that has the table with --catalog DSN.",
        )


def _proposed(
    settings: Settings, known: Production, wanted: set[TableName], *, every: bool
) -> Proposed:
    policy, classes = Policy.from_settings(settings), settings.replica.masking.classes
    found: dict[TableName, Mapping[str, Suggestion]] = {}
    for name in sorted(wanted & set(known.tables)):
        table = known.tables[name]
        is_listed = name in policy.tables
        open_ones = set(policy.unlisted(table)) if is_listed and not every else None
        said = suggest(
            policy.captured(table) if is_listed else table, known.sample.of(name), classes
        )
        chosen = {c: one for c, one in said.items() if open_ones is None or c in open_ones}
        if chosen:
            found[name] = chosen
    return found


def _tell(settings: Settings, proposed: Proposed, known: Production, *, written: bool) -> None:
    for table, why in known.sample.unread.items():
        note(f"{table} was not sampled: {why}.", "yellow")
    if not proposed:
        say("Every column is classified.", "bold green")
        return
    for line in _fragment(proposed):
        say(line)
    columns = [one for found in proposed.values() for one in found.values()]
    waiting = sum(one.decide for one in columns)
    where = f"Added to {settings.file.name}" if written else "Not written (--write adds them)"
    note(f"{where}: {len(columns)} columns, of which {waiting} wait for a decision ({UNDECIDED}).")
    note("Then: `analytics-replica policy check`, and the DBA runs `source sql` again.")


def _fragment(proposed: Proposed) -> Sequence[str]:
    lines = ["tables:"]
    for table, found in proposed.items():
        lines += [f"  {in_yaml(str(table))}:", "    columns:"]
        lines += [f"      {in_yaml(name)}: {with_reason(one)}" for name, one in found.items()]
    return lines


def _as_json(proposed: Proposed, known: Production) -> list[dict[str, Any]]:
    return [
        {
            "table": str(table),
            "column": name,
            "rule": in_one_line(one.rule),
            "class": one.holds,
            "reason": one.reason,
            "decide": one.decide,
            "sample": _shares(known.sample.of(table).get(name, NOTHING_SEEN)),
        }
        for table, found in proposed.items()
        for name, one in found.items()
    ]


def _shares(seen: Evidence) -> dict[str, Any]:
    return {
        "values": seen.sampled,
        "personal": {name: round(share, 4) for name, share in sorted(seen.personal.items())},
        "likely": {name: round(share, 4) for name, share in sorted(seen.likely.items())},
        "inside": round(seen.inside, 4),
    }
