"""History: how long each step took in past nights.

Here: the durations and their quantiles. Not here: where they come from (orchestration.history),
what they say of tonight (projection.py). Nights that failed are not in it: an incident must not
raise the bar for the next one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class StepHistory:
    """Durations by step, one for each past night in which the step succeeded, in any order."""

    durations: Mapping[str, Sequence[timedelta]]

    def nights(self, step: str) -> int:
        """In how many past nights the step was seen."""
        return len(self.durations.get(step, ()))

    def p50(self, step: str) -> timedelta | None:
        """Half of the nights were at most this long; None if the step was never seen."""
        return self.quantile(step, 0.50)

    def p90(self, step: str) -> timedelta | None:
        """Nine of ten nights were at most this long; None if the step was never seen."""
        return self.quantile(step, 0.90)

    def p95(self, step: str) -> timedelta | None:
        """Nineteen of twenty nights were at most this long; None if the step was never seen."""
        return self.quantile(step, 0.95)

    def quantile(self, step: str, share: float) -> timedelta | None:
        """The shortest duration that at least this share of nights kept; never between two."""
        known = sorted(self.durations.get(step, ()))
        if not known:
            return None
        return known[max(0, math.ceil(share * len(known)) - 1)]
