"""Paths into JSON documents, as replica.yaml writes them.

Here: reading one. Not here: following it (masking.strategies).
"""

from __future__ import annotations

import re
from typing import Final

_STEP: Final = re.compile(r"((?:[^.\[\]\\]|\\.)+)((?:\[\])*)(?:\.|$)")


def parse_path(path: str) -> tuple[str | None, ...]:
    r"""The steps of a path: a name, or None for every item of an array.

    Dots part names; `[]` stands for the items. A backslash before `.`, `[`, `]` or a backslash
    makes it part of the name. ValueError if the path cannot be read.
    """
    steps: list[str | None] = []
    at = 0
    while at < len(path) or not steps:
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"path {path!r} is not names with dots and [] between them")
        steps.append(re.sub(r"\\(.)", r"\1", found[1]))
        steps.extend([None] * (len(found[2]) // 2))
        at = found.end()
    return tuple(steps)
