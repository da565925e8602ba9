"""Peak memory of a capture: small backlog, large backlog, one large transaction.

Figures: `peak_rss_mb` (the most of all) and `rss_growth_ratio` (large backlog / small backlog). Not
here: how memory is read (captured.py).
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.capture.backlog import prepared_production
from benchmarks.capture.figures import Figures
from benchmarks.capture.readers import Reading, read_with_capture
from benchmarks.capture.workload import make_backlog, make_transaction


def measure_memory(small: int, large: int, transaction: int, console: Console) -> Figures:
    """Three captures, each in a process of its own."""
    shown = Table("backlog", "peak MB", "seconds", "changes/s", "own CPU s")

    def showing(name: str, changes: int, reading: Reading) -> float:
        shown.add_row(
            f"{changes:,} {name}",
            f"{reading.peak_rss_mb:.0f}",
            f"{reading.seconds:.1f}",
            f"{changes / reading.seconds:,.0f}",
            f"{reading.cpu_s:.1f}",
        )
        return reading.peak_rss_mb

    peaks = []
    with prepared_production(socket=False) as (pipeline, _):
        for changes in (small, large):
            make_backlog(pipeline.production, changes, changes // 1000)
            reading = read_with_capture(pipeline, changes)
            peaks.append(showing("changes in transactions of 1,000", changes, reading))
        make_transaction(pipeline.production, transaction)
        reading = read_with_capture(pipeline, transaction)
        peaks.append(showing("inserts in one transaction", transaction, reading))
    console.print(shown)
    return {"_peak_rss_mb": max(peaks), "rss_growth_ratio": round(peaks[1] / peaks[0], 2)}
