"""`policy diff`: what a change of replica.yaml does to which columns.

Here: the command, where the older text comes from, what is printed. Not here: the comparison
(masking.changes).
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.policy.tables import JsonOption
from analytics_replica.cli.terminal import say, say_json, show_table
from analytics_replica.cli.usage import epilog
from analytics_replica.errors import PolicyViolation, SettingsInvalid
from analytics_replica.masking.changes import Change, Direction, changes
from analytics_replica.masking.policy import Policy
from analytics_replica.settings.load import Settings, load_settings, settings_of

EPILOG: Final = epilog(
    "analytics-replica policy diff --git origin/main --fail-on loosened",
    SettingsInvalid,
    PolicyViolation,
)


class FailOn(StrEnum):
    """Which changes end the command with 40."""

    NEVER = "never"
    KEPT = "kept"
    LOOSENED = "loosened"
    ANY = "any"


_FAILS: Final[Mapping[FailOn, frozenset[Direction]]] = {
    FailOn.NEVER: frozenset(),
    FailOn.KEPT: frozenset({Direction.KEPT}),
    FailOn.LOOSENED: frozenset({Direction.KEPT, Direction.LOOSENED}),
    FailOn.ANY: frozenset(Direction),
}


def diff_command(
    context: typer.Context,
    old: Annotated[Path | None, typer.Argument(help="The replica.yaml before.")] = None,
    new: Annotated[
        Path | None, typer.Argument(help="The one after; default: that of --config.")
    ] = None,
    git: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Compare with the file as git has it at this revision."),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="End with 40 if a column is now kept, loosened, or changed.")
    ] = FailOn.NEVER,
    as_json: JsonOption = False,
) -> None:
    """Say what a change of replica.yaml does to each column. Needs no server and no key.

    Between two files, or between a revision of git and the file as it is. Says what is loosened
    (`now kept` is the red flag), which joins change, when the DBA must run `source sql` again, and
    which tables must be copied again before rows that are landed already change.
    """
    if (old is None) == (git is None):
        raise typer.BadParameter("name the file before, or --git REV")
    invocation = Invocation.of(context)
    after = load_settings(new or invocation.config, invocation.environ)
    if old is not None:
        before = load_settings(old, invocation.environ)
    else:
        before = _at_revision(git or "", after.file, invocation.environ)
    found = _changes(before, after)
    if as_json:
        say_json({"changes": [_as_json(change) for change in found]})
    else:
        _tell(found)
    failed = any(change.direction in _FAILS[fail_on] for change in found)
    raise typer.Exit(PolicyViolation.exit_code if failed else 0)


def _changes(before: Settings, after: Settings) -> list[Change]:
    return list(changes(Policy.from_settings(before), Policy.from_settings(after)))


def _at_revision(revision: str, file: Path, environ: Mapping[str, str]) -> Settings:
    named = f"{revision}:./{file.name}"
    shown = subprocess.run(
        ["git", "show", "--end-of-options", named],
        cwd=file.parent,
        capture_output=True,
        check=False,
    )
    if shown.returncode != 0:
        said = shown.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise SettingsInvalid(
            what=f"git does not show {named}: {said[0]}.",
            why="Without the older file there is nothing to compare with.",
            next="Name a revision that has the file (in CI, fetch it first), or compare two files.",
        )
    older = file.with_name(f"{file.name}@{revision.replace('/', '_')}")
    return settings_of(shown.stdout.decode(errors="replace"), older, environ)


def _tell(found: list[Change]) -> None:
    if not found:
        say("The two treat every column alike.")
        return
    rows = [
        (change.direction.value, _name(change), f"{change.before} → {change.after}", why)
        for change in found
        for why in ["; ".join(change.follows)]
    ]
    show_table(("", "column", "treatment", "what follows"), rows)
    counted = Counter(change.direction for change in found)
    told = ", ".join(f"{counted[d]} {d.value}" for d in Direction if counted[d])
    say(f"\n{told}.", "bold red" if counted[Direction.KEPT] else "bold")
    if any(change.republish for change in found):
        say("The publication changes: have the DBA run what `analytics-replica source sql` prints.")
    again = sorted({str(change.table) for change in found if change.recopy})
    if again:
        say(f"Then: analytics-replica resync {' '.join(again)}")


def _name(change: Change) -> str:
    return f"{change.table}.{change.column}" if change.column else str(change.table)


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "table": str(change.table),
        "column": change.column or None,
        "before": change.before,
        "after": change.after,
        "direction": change.direction.value,
        "follows": list(change.follows),
        "republish": change.republish,
        "recopy": change.recopy,
    }
