"""`reconcile`: whether every value of staging is what it should be.

Here: the command and what it prints. Not here: the comparison (staging.reconciliation).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.progress import shown_progress
from analytics_replica.cli.terminal import say_json, show_verdicts, verdict_json
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.progress import Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import (
    CheckFailed,
    CopyFailed,
    LandingBroken,
    SettingsInvalid,
    SourceUnreachable,
    WarehouseUnreachable,
)
from analytics_replica.settings.load import Settings

EPILOG: Final = epilog(
    "analytics-replica reconcile --table shop.orders",
    SettingsInvalid,
    SourceUnreachable,
    CopyFailed,
    LandingBroken,
    WarehouseUnreachable,
    CheckFailed,
)


class Against(StrEnum):
    """What staging is compared with."""

    LANDING = "landing"
    COPY = "copy"


def reconcile_command(
    context: typer.Context,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table", help="As replica.yaml names it; may be repeated. Default: all.", metavar="T"
        ),
    ] = None,
    against: Annotated[
        Against,
        typer.Option(
            help="What landing gives at staging's position, or a physical copy of production "
            "(source.physical_copy, else a base backup that is gone afterwards)."
        ),
    ] = Against.LANDING,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Compare every value of staging, and name the columns and keys that differ.

    Nothing is changed; an apply may run meanwhile. Production's tables are not read. Ends with 72
    if a table differs, and also if one could not be compared: not knowing is not passing.
    """
    settings = Invocation.of(context).settings()
    wanted = _wanted(settings, tables)
    with shown_progress(quiet=as_json) as progress:
        verdicts = _verdicts(settings, wanted, against, progress)
    bad = [verdict for verdict in verdicts if not verdict.passed]
    if as_json:
        say_json({"passed": not bad, "tables": [verdict_json(verdict) for verdict in verdicts]})
    else:
        show_verdicts(verdicts)
    if bad:
        raise CheckFailed(
            what=f"{len(bad)} of {len(verdicts)} tables were not found equal: "
            f"{'; '.join(f'{v.about} {v.outcome}' for v in bad[:3])}.",
            why="Gold that is built on them may show what production never had.",
            next="Follow docs/runbooks/staging-differs.md.",
        )


def _verdicts(
    settings: Settings, tables: Sequence[TableName], against: Against, progress: Progress
) -> list[Verdict]:
    # numba takes 0.7 s to import (2026-11-21); `--help` does not wait for it.
    from analytics_replica.staging.reconciliation.against_copy import (  # noqa: PLC0415
        against_copy,
    )
    from analytics_replica.staging.reconciliation.judgement import (  # noqa: PLC0415
        against_landing,
    )

    if against is Against.COPY:
        return against_copy(settings, SystemClock(), tables, progress)
    return [against_landing(settings, table, progress) for table in tables]


def _wanted(settings: Settings, written: Sequence[str] | None) -> list[TableName]:
    if not written:
        return sorted(settings.tables)
    return [_named(settings, table) for table in written]


def _named(settings: Settings, written: str) -> TableName:
    try:
        table = TableName.parse(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not written as schema.name") from None
    if table not in settings.tables:
        raise typer.BadParameter(f"{table} is not in replica.yaml")
    return table
