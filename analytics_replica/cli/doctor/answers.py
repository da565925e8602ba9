"""What doctor's answers look like: verdicts, with what to do next as the last finding.

Here: making one, and the error that it stands for. Not here: any question (the other files of this
folder), printing (terminal.py).
"""

from __future__ import annotations

from collections.abc import Callable

from analytics_replica.cli.usage import all_errors
from analytics_replica.domain.verdicts import Finding, Outcome, Verdict
from analytics_replica.errors import CheckFailed, ReplicaError
from analytics_replica.source.preflight import NEXT, failed

Figures = dict[str, int | float | str]


def fine(about: str, **figures: int | float | str) -> Verdict:
    """PASS, with figures worth seeing."""
    return Verdict(about, Outcome.PASS, figures=figures)


def missing(about: str, kind: type[ReplicaError], faults: list[str], then: str) -> Verdict:
    """FAIL with each fault, under the name of the error that a command would end with."""
    found = [Finding(kind.__name__, fault) for fault in faults]
    return Verdict.from_findings(about, [*found, Finding(NEXT, then)])


def unknown(about: str, reason: str) -> Verdict:
    """CANNOT_TELL, because of something earlier."""
    return Verdict.cannot_tell(about, Finding("", reason))


def judged(about: str, question: Callable[[], Figures]) -> Verdict:
    """PASS with the figures that the question gives, or FAIL with the error that it raises."""
    try:
        return fine(about, **question())
    except ReplicaError as cause:
        return failed(about, cause)


def error_of(verdict: Verdict) -> type[ReplicaError]:
    """The error that a command would end with because of this; CheckFailed if it does not say."""
    named = {kind.__name__: kind for kind in all_errors()}
    return next((named[f.subject] for f in verdict.findings if f.subject in named), CheckFailed)
