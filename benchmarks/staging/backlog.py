"""A backlog from the log to queryable staging, beside PostgreSQL's own subscription and COPY.

Figures: `speedup_over_native_subscription`, the subscription's seconds / ours (capture and apply,
two columns masked), and `apply_ratio_to_copy`, the apply's seconds / those of a COPY of the rows
that survive into a table with the same primary key and as many rows. Medians of rounds.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from contextlib import closing
from typing import IO

import psycopg2
from rich.console import Console
from rich.table import Table

from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database
from benchmarks.capture.figures import Figures
from benchmarks.capture.workload import COLUMNS, CREATE, TABLE, make_backlog
from benchmarks.staging.applied import Night, run_night
from benchmarks.staging.servers import Subscription, running_pair


def measure_backlog(changes: int, rounds: int, console: Console) -> Figures:
    """Ours and the subscription in `rounds` rounds, taking turns; COPY after each."""
    nights: list[Night] = []
    native: list[float] = []
    copies: list[float] = []
    root = open_directory()
    try:
        with running_pair() as (production, warehouse):
            production.execute(CREATE)
            pipeline = Pipeline(root, production, warehouse, {f"public.{TABLE}": COLUMNS})
            pipeline.prepare()
            run_night(pipeline)
            subscription = Subscription(production, warehouse)
            subscription.make()
            warehouse.execute(f"create table copied (like staging.{TABLE} including indexes)")
            for number in range(rounds):
                first = production.scalar(f"select coalesce(max(id), 0) + 1 from {TABLE}")
                make_backlog(production, changes, max(1, changes // 1000))
                if number % 2:
                    native.append(subscription.apply())
                nights.append(run_night(pipeline))
                if not number % 2:
                    native.append(subscription.apply())
                copies.append(_copy(warehouse, first))
                _require_equal(production, warehouse)
            subscription.drop()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    _show(console, changes, nights, native, copies)
    return {
        "speedup_over_native_subscription": _median(native, [n.seconds for n in nights]),
        "apply_ratio_to_copy": _median([n.apply for n in nights], copies),
        "apply_peak_rss_mb": round(max(night.peak_rss_mb for night in nights)),
    }


def _median(above: list[float], below: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 2)


def _copy(warehouse: Database, first: int) -> float:
    """Seconds of copying staging's rows of this round into a table with the same primary key."""
    with tempfile.TemporaryFile() as file:
        _transfer(
            warehouse, f"copy (select * from staging.{TABLE} where id >= {first}) to stdout", file
        )
        file.seek(0)
        return _transfer(warehouse, "copy copied from stdin", file)


def _transfer(warehouse: Database, statement: str, file: IO[bytes]) -> float:
    with closing(psycopg2.connect(warehouse.dsn())) as opened, opened.cursor() as cursor:
        began = time.perf_counter()
        cursor.copy_expert(statement, file)
        opened.commit()
        return time.perf_counter() - began


def _require_equal(production: Database, warehouse: Database) -> None:
    figures = "select count(*), sum(amount), count(*) filter (where status = 'done') from "
    expected = production.rows(figures + TABLE)
    for table in (f"staging.{TABLE}", TABLE):
        if warehouse.rows(figures + table) != expected:
            raise AssertionError(f"{table} is not what production has")
    if warehouse.scalar("select count(*) from copied") != expected[0][0]:
        raise AssertionError("COPY was not given the rows that survive")


def _show(
    console: Console, changes: int, nights: list[Night], native: list[float], copies: list[float]
) -> None:
    shown = Table("from the log to a table", "seconds of each round", "changes/s (median)")
    rows = {
        "capture + apply": [night.seconds for night in nights],
        "PostgreSQL's subscription": native,
        "of ours, the apply": [night.apply for night in nights],
        "COPY of the surviving rows": copies,
    }
    for name, seconds in rows.items():
        each = " ".join(f"{s:.2f}" for s in seconds)
        shown.add_row(name, each, f"{changes / statistics.median(seconds):,.0f}")
    console.print(shown)
