"""The named points between two effects of a capture, at which tests stop it.

Here: one name for them, whoever exports them. Not here: stopping (killed.py).
"""

from __future__ import annotations

import importlib
import importlib.util

BEFORE_THEY_HAD_A_LIST = ("before files", "before manifest", "before confirm")


def _points() -> tuple[str, ...]:
    if importlib.util.find_spec("analytics_replica.landing.points") is None:
        return BEFORE_THEY_HAD_A_LIST
    points: tuple[str, ...] = importlib.import_module("analytics_replica.landing.points").POINTS
    return points


POINTS = _points()
