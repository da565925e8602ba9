"""What each step of the chain takes on the demo's shop, and what a night costs beside a reload.

Figures: seconds of the first copy and first apply of the whole shop, seconds of capture and apply
of the night's changes, and `night_share_of_first_load`: cost follows the changes, not the tables.
The reference is the first load, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.table import Table

from analytics_replica.demo.shop.fill import fill
from analytics_replica.demo.shop.schema import create_schema, event_months
from analytics_replica.demo.traffic import Traffic
from analytics_replica.domain.clock import SystemClock
from analytics_replica.postgres.connect import connect
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

POLICY: Final = Path(__file__).parent.parent / "replica.yaml"
NOW: Final = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--transactions", type=int, default=2_000)
    arguments = parser.parse_args()
    with running_server({"fsync": "on", "shared_buffers": "256MB"}) as server:
        admin = Database(server, "postgres")
        admin.execute("create role analytics_replica login replication")
        admin.execute("create role loader login")
        root = open_directory()
        try:
            with (
                fresh_database(server, "production") as production,
                fresh_database(server, "warehouse", owner="loader") as warehouse,
            ):
                rows, seconds = measure(
                    production, warehouse, root, arguments.scale, arguments.transactions
                )
        finally:
            shutil.rmtree(root, ignore_errors=True)
    shown = Table("step", "rows", "seconds", "rows/s")
    for step, took in seconds.items():
        shown.add_row(step, f"{rows[step]:,}", f"{took:.2f}", f"{rows[step] / took:,.0f}")
    Console().print(shown)
    night = seconds["capture the night"] + seconds["apply the night"]
    first = seconds["first copy"] + seconds["first apply"]
    figures: dict[str, Any] = {step.replace(" ", "_") + "_s": s for step, s in seconds.items()}
    print(json.dumps({**figures, "night_share_of_first_load": round(night / first, 3)}))


def measure(
    production: Database, warehouse: Database, root: Path, scale: float, transactions: int
) -> tuple[dict[str, int], dict[str, float]]:
    """Rows and seconds of each step."""
    with closing(connect(production.dsn())) as opened:
        create_schema(opened, *event_months(NOW))
        fill(opened, seed=7, scale=scale, now=NOW, progress=lambda *_: None)
        opened.commit()
    policy = yaml.safe_load(POLICY.read_text(encoding="utf-8"))["tables"]
    tables = {table: body["columns"] for table, body in policy.items()}
    pipeline = Pipeline(root, production, warehouse, tables)
    pipeline.prepare()
    rows: dict[str, int] = {}
    seconds: dict[str, float] = {}

    def step(name: str, work: Callable[[], int]) -> None:
        began = time.perf_counter()
        rows[name] = work()
        seconds[name] = round(time.perf_counter() - began, 2)

    step("first copy", lambda: sum(pipeline.capture().rows.values()))
    step("first apply", lambda: _apply(pipeline))
    Traffic(production.dsn(), seed=1).run(transactions)
    step("capture the night", lambda: sum(pipeline.capture().rows.values()))
    step("apply the night", lambda: _apply(pipeline))
    return rows, seconds


def _apply(pipeline: Pipeline) -> int:
    report = apply_pending(pipeline.settings, SystemClock())
    return sum(t.inserted + t.updated + t.deleted for t in report.tables.values())


if __name__ == "__main__":
    main()
