"""The figures that a part of the benchmark gives, by the names of the last line's JSON."""

from __future__ import annotations

Figures = dict[str, float | int | None]
