"""Judgements with three outcomes: not knowing is never passing.

Here: the one type for judgements. Not here: how a check comes to its judgement (beside what it
judges) or how Dagster shows it (orchestration.verdicts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What a judgement came to."""

    PASS = "PASS"
    FAIL = "FAIL"
    CANNOT_TELL = "CANNOT_TELL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a judgement rests on: where, and what was found. Never a row's value.

    Only reconciliation names rows, by their keys as staging has them: masked if they are masked.
    """

    subject: str
    says: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.says}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement `about` something, with the findings that led to it and figures to show."""

    about: str
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, int | float | str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True only for PASS; CANNOT_TELL never counts as a pass."""
        return self.outcome is Outcome.PASS

    @classmethod
    def from_findings(
        cls, about: str, faults: Iterable[Finding], **figures: int | float | str
    ) -> Verdict:
        """FAIL with these faults, or PASS if there are none."""
        found = tuple(faults)
        return cls(about, Outcome.FAIL if found else Outcome.PASS, found, figures)

    @classmethod
    def cannot_tell(cls, about: str, *reasons: Finding, **figures: int | float | str) -> Verdict:
        """CANNOT_TELL, because of these reasons."""
        return cls(about, Outcome.CANNOT_TELL, reasons, figures)

    def joined(self, other: Verdict, prefix: str) -> Verdict:
        """Both judgements as one: FAIL beats CANNOT_TELL, which beats PASS.

        The other's figures are named with the prefix.
        """
        worst = (Outcome.FAIL, Outcome.CANNOT_TELL, Outcome.PASS)
        return Verdict(
            self.about,
            min(self.outcome, other.outcome, key=worst.index),
            self.findings + other.findings,
            {**self.figures, **{prefix + name: figure for name, figure in other.figures.items()}},
        )

    def summary(self) -> str:
        """One line for people: the outcome and the first findings."""
        shown = "; ".join(str(f) for f in self.findings[:3])
        more = f" (+{len(self.findings) - 3} more)" if len(self.findings) > 3 else ""
        return f"{self.about}: {self.outcome}" + (f": {shown}{more}" if shown else "")
