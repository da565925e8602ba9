"""`policy show`: every column with what it holds and what is done with it.

Here: the command and what it prints. Not here: the treatments (masking).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.policy.tables import JsonOption, table_named
from analytics_replica.cli.terminal import say, say_json, show_table
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.tables import Column, TableName
from analytics_replica.errors import PolicyViolation, SettingsInvalid
from analytics_replica.landing.known_tables import known_tables
from analytics_replica.landing.layout import Store
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.strategies import STRATEGIES
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.settings.load import Settings
from analytics_replica.settings.rules import Mask

EPILOG: Final = epilog(
    "analytics-replica policy show shop.customers", SettingsInvalid, PolicyViolation
)

_UNKNOWN: Final = Column("", 0, -1, "")


def show_command(
    context: typer.Context,
    table: Annotated[
        str | None, typer.Argument(help="Only this table, as replica.yaml names it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each column holds, what is done with it, and what that keeps and loses.

    Types in staging are those of the newest batch; before the first, a kept column's is not known.
    """
    settings = Invocation.of(context).settings()
    wanted = table_named(table) if table is not None else None
    if wanted is not None and wanted not in settings.tables:
        raise PolicyViolation(
            what=f"{wanted} is not in replica.yaml.",
            why="A table that is not listed is not captured.",
            next=f"`analytics-replica policy suggest {wanted}` proposes its rules.",
        )
    rows = [row for row in _rows(settings) if wanted is None or row["table"] == str(wanted)]
    if as_json:
        say_json({"columns": rows})
        return
    for name in dict.fromkeys(row["table"] for row in rows):
        say(str(name), "bold")
        show_table(
            ("column", "class", "treatment", "joins", "unique", "lossy", "type in staging"),
            [_line(row) for row in rows if row["table"] == name],
        )


def _rows(settings: Settings) -> Iterator[dict[str, Any]]:
    policy, known = Policy.from_settings(settings), known_tables(Store.of(settings))
    for table, columns in policy.tables.items():
        types = {c.name: c for c in known[table].columns} if table in known else {}
        for name, done in columns.items():
            yield {
                "table": str(table),
                "column": name,
                "class": _class(settings, table, name),
                "treatment": done.describe(),
                **_declared(done),
                "staging_type": _staging_type(done, types.get(name, _UNKNOWN)),
            }


def _class(settings: Settings, table: TableName, column: str) -> str | None:
    """The class that replica.yaml declares; a dropped column's treatment does not have it."""
    for written, rules in settings.replica.tables.items():
        rule = rules.columns.get(column)
        if TableName.parse(written) == table and isinstance(rule, Mask):
            return rule.class_
    return None


def _declared(done: Treatment) -> dict[str, bool | None]:
    """Whether the treatment keeps joins and uniqueness, and loses the value; None without one."""
    if done.kind is Kind.KEEP:
        return {"keeps_joins": True, "keeps_unique": True, "lossy": False}
    if done.mask is None:
        return {"keeps_joins": None, "keeps_unique": None, "lossy": None}
    strategy = STRATEGIES[done.mask.name]
    folds = done.mask.normalise not in (None, "none") or done.mask.as_ == "int64"
    return {
        "keeps_joins": strategy.keeps_joins,
        "keeps_unique": strategy.keeps_unique and not folds,
        "lossy": strategy.lossy,
    }


def _staging_type(done: Treatment, column: Column) -> str | None:
    """The type in staging; None if the column does not come or its own type is not known."""
    if done.kind is Kind.DROP:
        return None
    is_own = done.mask is None or STRATEGIES[done.mask.name].staging is None
    return None if is_own and not column.type_oid else done.staging_type(column)


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    told = {True: "yes", False: "no", None: ""}
    return (
        row["column"],
        row["class"] or "",
        row["treatment"],
        *(told[row[key]] for key in ("keeps_joins", "keeps_unique", "lossy")),
        row["staging_type"] or "",
    )
