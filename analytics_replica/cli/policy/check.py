"""`policy check`: whether replica.yaml may go to production, for CI.

Here: the command and what it prints. Not here: the judgements (masking.objections), the sample
(landing.sampling).
"""

from __future__ import annotations

from typing import Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.policy.tables import (
    SAMPLED_ROWS,
    CatalogOption,
    JsonOption,
    Production,
    RowsOption,
    SampleOption,
    production_of,
)
from analytics_replica.cli.terminal import note, say, say_json, show_table
from analytics_replica.cli.usage import epilog
from analytics_replica.errors import (
    CopyFailed,
    PolicyViolation,
    SettingsInvalid,
    SourceUnreachable,
    WarehouseUnreachable,
)
from analytics_replica.masking.objections import (
    Objection,
    against_production,
    kept_though_personal,
    kept_though_seen,
)
from analytics_replica.settings.load import Settings

EPILOG: Final = epilog(
    "analytics-replica policy check --json",
    SettingsInvalid,
    PolicyViolation,
    SourceUnreachable,
    CopyFailed,
    WarehouseUnreachable,
)


def check_command(
    context: typer.Context,
    catalog: CatalogOption = None,
    sample: SampleOption = False,
    rows: RowsOption = SAMPLED_ROWS,
    as_json: JsonOption = False,
) -> None:
    """Refuse a policy that cannot work or that keeps what is a person's. Needs no server.

    A column of a declared class is never kept; one that is only called like a person's is kept with
    a reason: `{mask: keep, because: "…"}`. What is known of production's tables (--catalog, a
    physical copy, landing) must fit. With --sample, kept values are looked at; only shares are
    shown.
    """
    settings = Invocation.of(context).settings()
    sampled = set(settings.tables) if sample else None
    known = production_of(settings, catalog=catalog, sampled=sampled, rows=rows, quiet=as_json)
    found = sorted(_objections(settings, known), key=lambda one: (one.line, one.column))
    looked_at = _looked_at(settings, known)
    if as_json:
        say_json(
            {
                "passed": not found,
                "objections": [_as_json(one) for one in found],
                "columns": looked_at,
                "not_sampled": {str(t): why for t, why in known.sample.unread.items()},
            }
        )
    else:
        _tell(settings, found, looked_at, known)
    raise typer.Exit(PolicyViolation.exit_code if found else 0)


def _objections(settings: Settings, known: Production) -> list[Objection]:
    found = {
        (one.table, one.column): one
        for one in (
            *against_production(settings, known.tables, known.relations, whole=known.whole),
            *kept_though_personal(settings, known.tables),
            *kept_though_seen(settings, known.sample.evidence),
        )
    }
    return list(found.values())


def _looked_at(settings: Settings, known: Production) -> dict[str, int]:
    return {
        "listed": sum(len(rules.columns) for rules in settings.tables.values()),
        "known_in_production": sum(len(t.columns) for t in known.tables.values()),
        "sampled": sum(len(columns) for columns in known.sample.evidence.values()),
    }


def _tell(
    settings: Settings, found: list[Objection], looked_at: dict[str, int], known: Production
) -> None:
    for table, why in known.sample.unread.items():
        note(f"{table} was not sampled: {why}.", "yellow")
    if found:
        rows = [
            (f"{settings.file.name}:{one.line}", _name(one), one.reason, one.then) for one in found
        ]
        show_table(("line", "column", "reason", "what to do"), rows)
    counted = ", ".join(f"{n:,} {what.replace('_', ' ')}" for what, n in looked_at.items())
    if found:
        say(f"\n{len(found)} objections; columns: {counted}.", "bold red")
    else:
        say(f"Nothing speaks against the policy; columns: {counted}.", "bold green")


def _name(one: Objection) -> str:
    return f"{one.table}.{one.column}" if one.column else str(one.table)


def _as_json(one: Objection) -> dict[str, object]:
    return {
        "table": str(one.table),
        "column": one.column or None,
        "line": one.line,
        "reason": one.reason,
        "next": one.then,
    }
