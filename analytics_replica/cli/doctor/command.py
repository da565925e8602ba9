"""`doctor`, the command.

Here: printing the answers and the exit code. Not here: the questions (questions.py).
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from analytics_replica.cli.doctor.answers import error_of
from analytics_replica.cli.doctor.questions import all_answers
from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.terminal import say, say_json, show_verdicts, verdict_json
from analytics_replica.cli.usage import epilog
from analytics_replica.domain.verdicts import Outcome, Verdict
from analytics_replica.errors import (
    CheckFailed,
    LandingError,
    NotReady,
    SettingsInvalid,
    SourceError,
    WarehouseError,
)

EPILOG: Final = epilog(
    "analytics-replica doctor",
    SettingsInvalid,
    SourceError,
    LandingError,
    WarehouseError,
    NotReady,
    CheckFailed,
)


def doctor_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Say what is missing until the first night can run, and the next command for each thing.

    Looks at replica.yaml, the environment, production, this machine, landing, the warehouse, the
    dbt project and Dagster; changes nothing. Ends with the exit code that a command would end with
    because of the first thing that is missing.
    """
    verdicts: list[Verdict] = []
    for verdict in all_answers(Invocation.of(context).settings):
        verdicts.append(verdict)
        if not as_json:
            show_verdicts([verdict])
    absent = [v for v in verdicts if v.outcome is Outcome.FAIL]
    code = _exit_code(verdicts, absent)
    if as_json:
        say_json({"complete": code == 0, "answers": [verdict_json(v) for v in verdicts]})
    elif code == 0:
        say("\nNothing is missing.", "bold green")
    else:
        unclear = sum(v.outcome is Outcome.CANNOT_TELL for v in verdicts)
        waits = f"; {unclear} wait for it" if unclear else ""
        first = f" First: {absent[0].about}" if absent else ""
        say(f"\n{len(absent)} missing{waits}.{first}", "bold")
    raise typer.Exit(code)


def _exit_code(verdicts: list[Verdict], absent: list[Verdict]) -> int:
    if absent:
        return error_of(absent[0]).exit_code
    return 0 if all(v.passed for v in verdicts) else CheckFailed.exit_code
