"""How fast a backlog becomes masked Parquet, against pg_recvlogical writing it to a file.

Figure: `wall_ratio_to_pg_recvlogical` (below 1 we are faster), rows per second, peak memory. The
reference reads the same backlog through the same publication from a slot of its own, in the same
run. Source: facts measured 2026: pg_recvlogical is the walsender's own limit.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.capture import capture
from analytics_replica.settings.load import Settings
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

COLUMNS = {
    "id": "keep",
    "customer_id": "keep",
    "email": {"mask": "token", "domain": "email"},
    "phone": {"mask": "token", "domain": "phone"},
    "status": "keep",
    "amount": "keep",
    "placed_at": "keep",
    "day": "keep",
    "is_gift": "keep",
    "note": "keep",
}

TABLE = """
create table wide (
    id bigint primary key, customer_id bigint, email text, phone text, status text,
    amount numeric(12, 2), placed_at timestamptz, day date, is_gift boolean, note text)
"""

ROW = """
select i, i %% 5000, 'user' || i || '@example.org', '+1555' || lpad(i::text, 7, '0'),
       (array['new', 'paid', 'sent'])[1 + i %% 3], (i %% 100000) / 100.0,
       timestamptz '2026-01-01' + i * interval '1 second', date '2026-01-01' + i %% 300,
       i %% 7 = 0, md5(i::text)
from generate_series(%s, %s) i
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with running_server({"fsync": "on", "shared_buffers": "256MB"}) as server:
        admin = Database(server, "postgres")
        admin.execute("create role analytics_replica login replication")
        with fresh_database(server, "production") as production:
            root = open_directory()
            try:
                figures = measure(production, root, arguments.changes, arguments.rounds)
            finally:
                shutil.rmtree(root, ignore_errors=True)
    shown = Table("reader of the same backlog", "seconds (median)", "changes/s")
    for reader in ("pg_recvlogical", "analytics-replica"):
        seconds = figures[f"{reader} s"]
        shown.add_row(reader, f"{seconds:.2f}", f"{arguments.changes / seconds:,.0f}")
    Console().print(shown)
    print(json.dumps({key: value for key, value in figures.items() if not key.endswith(" s")}))


def measure(production: Database, root: Path, changes: int, rounds: int) -> dict[str, float]:
    """Median seconds of both readers over interleaved rounds, and our peak memory."""
    production.execute(TABLE)
    pipeline = Pipeline(root, production, production, {"public.wide": COLUMNS})
    pipeline.prepare()
    pipeline.capture()
    slot = "reference"
    production.execute(f"select pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    settings = pipeline.settings
    reference, ours, peaks = [], [], []
    for number in range(rounds):
        _make_backlog(production, number * changes, changes)
        until = production.scalar("select pg_current_wal_flush_lsn()::text")
        reference.append(_seconds(partial(_recvlogical, production, slot, until, root)))
        process_seconds, peak = _captured(settings)
        ours.append(process_seconds)
        peaks.append(peak)
    return {
        "pg_recvlogical s": statistics.median(reference),
        "analytics-replica s": statistics.median(ours),
        "wall_ratio_to_pg_recvlogical": round(
            statistics.median(o / r for o, r in zip(ours, reference, strict=True)), 2
        ),
        "changes_per_second": round(changes / statistics.median(ours)),
        "peak_rss_mb": round(max(peaks)),
        "changes": changes,
    }


def _make_backlog(production: Database, first: int, changes: int) -> None:
    inserts, step = changes * 2 // 3, 2000
    for start in range(first, first + inserts, step):
        end = min(start + step, first + inserts) - 1
        production.execute(f"insert into wide {ROW}", (start, end))
    rest = changes - inserts
    for start in range(first, first + rest, step):
        end = min(start + step, first + rest) - 1
        production.execute(
            "update wide set status = 'done', amount = amount + 1 where id between %s and %s",
            (start, end),
        )


def _recvlogical(production: Database, slot: str, until: str, root: Path) -> None:
    subprocess.run(
        [
            production.server.bin_dir / "pg_recvlogical",
            *("-d", production.dsn(), "--slot", slot, "--start", "--no-loop"),
            *("-o", "proto_version=1", "-o", "publication_names=analytics_replica"),
            *("--endpos", until, "-f", str(root / "reference.out")),
        ],
        check=True,
    )


def _captured(settings: Settings) -> tuple[float, float]:
    """Seconds and peak memory (MB) of one capture in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_capture, args=(settings, sender))
    process.start()
    seconds, peak = receiver.recv()
    process.join()
    return seconds, peak


def _capture(settings: Settings, answer: Any) -> None:
    seconds = _seconds(lambda: capture(settings, SystemClock()))
    answer.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
