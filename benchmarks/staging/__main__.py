"""Measures staging beside its references: `python -m benchmarks.staging`.

Prints tables, then one line of JSON:

- `speedup_over_native_subscription`: PostgreSQL's own subscription / capture and apply, for the
  same backlog; ours masks two columns.
- `apply_ratio_to_copy`: the apply of that backlog / COPY of the rows that survive it.
- `growth_ratio_10x`: the same changes, to the newest rows, applied to a table of ten times as many
  rows / to the small one; `growth_spread_ratio_10x`: as many changes, spread over all rows.
- `rebuild_peak_rss_mb`: the memory of a rebuild of five million rows from landing.
- `reconcile_ratio_to_scan`: reconciliation's pass over them in the warehouse / one scan that looks
  at all of their twenty columns; `reconcile_whole_ratio_to_scan`: all of it, landing's replay too.

Here: the options and the last line. Not here: any measurement.
"""

from __future__ import annotations

import argparse
import json
from typing import Final

from rich.console import Console

from benchmarks.capture.figures import Figures
from benchmarks.staging.backlog import measure_backlog
from benchmarks.staging.growth import measure_growth
from benchmarks.staging.large import measure_large

PARTS: Final = ("backlog", "growth", "large")


def main() -> None:
    """Measures and prints."""
    options = _options()
    console = Console()
    tenth = 10 if options.quick else 1
    rounds = options.rounds or (1 if options.quick else 3)
    figures: Figures = {}
    if "backlog" in options.only:
        figures |= measure_backlog(options.changes // tenth, rounds, console)
    if "growth" in options.only:
        figures |= measure_growth(200_000 // tenth, 20_000 // tenth, rounds + 2, console)
    if "large" in options.only:
        figures |= measure_large(5_000_000 // tenth, rounds, console)
    print(json.dumps(figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.staging",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--changes", type=int, default=750_000, help="size of the backlog")
    parser.add_argument("--rounds", type=int, help="of every comparison (3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, to try it out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
