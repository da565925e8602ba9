"""How things look in a terminal and in a log: errors, verdicts, tables, JSON.

Here: the two streams and every form that more than one command prints. Not here: what is printed
(the commands). Results go to stdout, everything about them to stderr. Text is never read as
markup: names of tables may hold brackets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analytics_replica.cli.usage import all_errors
from analytics_replica.domain.verdicts import Finding, Outcome, Verdict
from analytics_replica.errors import ReplicaError
from analytics_replica.source.preflight import NEXT

OUT: Final = Console(markup=False, highlight=False, emoji=False)
ERR: Final = Console(stderr=True, markup=False, highlight=False, emoji=False)

_MARKS: Final[Mapping[Outcome, tuple[str, str]]] = {
    Outcome.PASS: ("ok", "green"),
    Outcome.FAIL: ("no", "bold red"),
    Outcome.CANNOT_TELL: ("??", "yellow"),
}


def say(text: str, style: str = "") -> None:
    """One line of the result; long lines are left to the terminal."""
    OUT.print(Text(text, style=style), soft_wrap=True)


def note(text: str, style: str = "dim") -> None:
    """One line about the work, on stderr."""
    ERR.print(Text(text, style=style), soft_wrap=True)


def say_json(body: Any) -> None:
    """The result as JSON, alone on stdout."""
    OUT.print(json.dumps(body, indent=2, ensure_ascii=False, default=str), soft_wrap=True)


def say_json_line(body: Any) -> None:
    """One of many results, as one line of JSON, at once."""
    OUT.print(json.dumps(body, ensure_ascii=False, default=str), soft_wrap=True)
    OUT.file.flush()


def show_error(error: ReplicaError, *, traced: bool = False) -> None:
    """What happened, what it means, what to do, and the exit code to look up.

    With `traced`, also where in the code: classes and places, no text and no value.
    """
    lines = (("what", error.what, "bold red"), ("why", error.why, ""), ("next", error.next, "bold"))
    for label, sentence, style in lines:
        ERR.print(Text(f"{label:>5}  ", "dim").append(sentence, style), soft_wrap=True)
    kind = f"{type(error).__name__}, exit code {error.exit_code}"
    note(f"       {kind} (docs/reference/exit-codes.md)")
    for line in error.trace if traced else ():
        note(f"       {line}")


def show_verdicts(verdicts: Iterable[Verdict]) -> None:
    """One line for each verdict, its findings below it, and what to do next below them."""
    for verdict in verdicts:
        mark, style = _MARKS[verdict.outcome]
        figures = ", ".join(
            f"{key.replace('_', ' ')} {_shown(v)}" for key, v in verdict.figures.items()
        )
        line = Text(f"{mark:>4}  ", style).append(verdict.about, "")
        OUT.print(line.append(f"   {figures}" if figures else "", "dim"), soft_wrap=True)
        for finding in verdict.findings:
            style = "bold" if finding.subject == NEXT else ""
            OUT.print(Text(f"      {_finding(finding)}", style), soft_wrap=True)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict for programs; what to do next stands apart from the findings."""
    return {
        "about": verdict.about,
        "outcome": verdict.outcome.value,
        "findings": [
            {"subject": f.subject, "says": f.says} for f in verdict.findings if f.subject != NEXT
        ],
        "next": next((f.says for f in verdict.findings if f.subject == NEXT), None),
        "figures": dict(verdict.figures),
    }


def show_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; numbers are right-aligned by whoever formats them."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    OUT.print(table)


def show_pairs(pairs: Mapping[str, str]) -> None:
    """Names and values, one pair to a line."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        OUT.print(Text(f"{name:<{width}}  ", "dim").append(value, "not dim"), soft_wrap=True)


def _finding(finding: Finding) -> str:
    is_ours = not finding.subject or finding.subject in {kind.__name__ for kind in all_errors()}
    return finding.says if is_ours else str(finding)


def _shown(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
