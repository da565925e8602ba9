"""One large table: how much memory a rebuild takes, and what reconciliation costs beside a scan.

Figures: `rebuild_peak_rss_mb`, the most memory of a process that rebuilds the table from landing
alone; `reconcile_ratio_to_scan`, the warehouse's one pass over the table / a sequential scan of it
that looks at every column; `reconcile_whole_ratio_to_scan`, the same with landing's replay, which
runs beside the pass, and the check of landing's files. Medians of rounds.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.settings.load import load_settings
from analytics_replica.staging.rebuild import Asked, rebuild
from analytics_replica.staging.reconciliation.cost import Cost, reconcile_cost
from analytics_replica_tests.support.commands import ROOT
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database
from benchmarks.capture.figures import Figures
from benchmarks.staging.applied import peak_rss_mb, run_night
from benchmarks.staging.servers import running_pair

TYPES: Final = {
    "bigint": "i * 7919::bigint",
    "integer": "i % 100000",
    "text": "'value ' || i % 50000",
    "numeric(12, 2)": "(i % 1000000) / 100.0",
    "timestamptz": "timestamptz '2026-01-01' + i * interval '1 second'",
    "date": "date '2026-01-01' + (i % 300)::integer",
    "boolean": "i % 7 = 0",
    "uuid": "md5(i::text)::uuid",
}
"""Twenty columns are made of these, in turn, behind the key."""

COLUMNS: Final = 20


def measure_large(rows: int, rounds: int, console: Console) -> Figures:
    """Lands, applies and rebuilds one table of so many rows, and reconciles it `rounds` times."""
    root = open_directory()
    try:
        with running_pair() as (production, warehouse):
            columns = _fill(production, rows)
            pipeline = Pipeline(root, production, warehouse, {"public.large": columns})
            pipeline.prepare()
            run_night(pipeline)
            rebuilt = _rebuilt(pipeline)
            warehouse.execute("drop schema staging_rebuilt cascade")
            scans, costs = [], []
            for _ in range(rounds + 1):
                scans.append(_scan(warehouse, list(columns)))
                costs.append(reconcile_cost(pipeline.settings, TableName("public", "large")))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    # The first round loads compiled code and fills caches.
    return _shown(console, rows, rebuilt, scans[1:], costs[1:])


def _fill(production: Database, rows: int) -> dict[str, str]:
    kinds = [list(TYPES)[n % len(TYPES)] for n in range(COLUMNS - 1)]
    named = [(f"c{n}", kind) for n, kind in enumerate(kinds)]
    production.execute(
        f"create table large (id bigint primary key, {', '.join(map(' '.join, named))})"
    )
    values = ", ".join(TYPES[kind] for kind in kinds)
    production.execute(f"insert into large select i, {values} from generate_series(1, {rows}) i")
    return dict.fromkeys(["id", *(name for name, _ in named)], "keep")


def _rebuilt(pipeline: Pipeline) -> dict[str, float]:
    settings = pipeline.settings
    command = [sys.executable, "-m", "benchmarks.staging.large", str(settings.file)]
    environ = {**os.environ, **settings.secrets.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _scan(warehouse: Database, columns: list[str]) -> float:
    counts = ", ".join(f"count({column})" for column in columns)
    began = time.perf_counter()
    warehouse.execute(f"select {counts} from staging.large")
    return time.perf_counter() - began


def _shown(
    console: Console, rows: int, rebuilt: dict[str, float], scans: list[float], costs: list[Cost]
) -> Figures:
    if not all(cost.equal and cost.rows == rows for cost in costs):
        raise AssertionError("staging is not what landing gives")
    shown = Table(f"{rows:,} rows × {COLUMNS} columns", "seconds of each round")
    measured = {
        "scan of every column": scans,
        "reconciliation's pass": [cost.pass_seconds for cost in costs],
        "the whole reconciliation": [cost.whole_seconds for cost in costs],
        f"rebuild and comparison, {rebuilt['peak_rss_mb']:,.0f} MB": [rebuilt["seconds"]],
    }
    for name, seconds in measured.items():
        shown.add_row(name, " ".join(f"{s:.2f}" for s in seconds))
    console.print(shown)
    pairs = list(zip(costs, scans, strict=True))
    return {
        "rebuild_peak_rss_mb": round(rebuilt["peak_rss_mb"]),
        "reconcile_ratio_to_scan": round(
            statistics.median(cost.pass_seconds / scan for cost, scan in pairs), 2
        ),
        "reconcile_whole_ratio_to_scan": round(
            statistics.median(cost.whole_seconds / scan for cost, scan in pairs), 2
        ),
    }


def _main() -> None:
    settings = load_settings(Path(sys.argv[1]), os.environ)
    began = time.perf_counter()
    report = rebuild(settings, SystemClock(), asked=Asked(swap=False))
    if not report.equal:
        raise AssertionError("the rebuilt table differs from staging")
    print(json.dumps({"seconds": time.perf_counter() - began, "peak_rss_mb": peak_rss_mb()}))


if __name__ == "__main__":
    _main()
