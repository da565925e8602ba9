"""The same night on a table and on one that is ten times as large.

Figures: `growth_ratio_10x`, the apply's seconds on the large table / on the small one, with the
same changes: to the newest rows, as many of them as the small table has. `growth_spread_ratio_10x`:
with changes that are spread over the whole of each table, so in the large one they are on more
pages, each of which PostgreSQL writes to its log. Medians of rounds; the tables take turns.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from rich.console import Console
from rich.table import Table

from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database
from benchmarks.capture.figures import Figures
from benchmarks.capture.server import Remote
from benchmarks.capture.workload import COLUMNS, CREATE, TABLE, make_transaction
from benchmarks.staging.applied import run_night
from benchmarks.staging.servers import running_pair

_CHANGES: Final = """
update wide set amount = amount + 1 where id in (
    select %(last)s - (n::bigint * %(rows)s / %(updates)s + %(round)s * 7919) %% %(rows)s
    from generate_series(0, %(updates)s - 1) n);
delete from wide where id in (
    select %(last)s - (n::bigint * %(rows)s / %(deletes)s + 13 + %(round)s * 104729::bigint)
           %% %(rows)s
    from generate_series(0, %(deletes)s - 1) n);
"""


def measure_growth(rows: int, changes: int, rounds: int, console: Console) -> Figures:
    """Applies nights of so many changes to a table of `rows` rows and to one of ten times that."""
    seconds: dict[str, list[float]] = {"small": [], "newest": [], "spread": []}
    with running_pair() as (production, warehouse), ExitStack() as stack:
        small = stack.enter_context(_filled(production, warehouse, rows))
        large = stack.enter_context(_filled(production, warehouse, 10 * rows))
        for number in range(rounds):
            turns = [("small", small, rows), ("newest", large, rows), ("spread", large, 10 * rows)]
            for name, pipeline, among in turns if number % 2 == 0 else turns[::-1]:
                _change(pipeline.production, among, changes, number)
                seconds[name].append(run_night(pipeline).apply)
    shown = Table(f"apply of {changes:,} changes to", "seconds of each round")
    tables = {
        "small": f"{rows:,} rows",
        "newest": f"the newest {rows:,} of {10 * rows:,} rows",
        "spread": f"any of {10 * rows:,} rows",
    }
    for name, about in tables.items():
        shown.add_row(about, " ".join(f"{s:.2f}" for s in seconds[name]))
    console.print(shown)
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "growth_ratio_10x": round(middle["newest"] / middle["small"], 2),
        "growth_spread_ratio_10x": round(middle["spread"] / middle["small"], 2),
    }


@contextmanager
def _filled(production: Database, warehouse: Database, rows: int) -> Iterator[Pipeline]:
    root = open_directory()
    with (
        fresh_database(production.server, "grown") as source,
        fresh_database(warehouse.server, "grown", owner="loader") as target,
    ):
        try:
            pipeline = Pipeline(
                root,
                Remote(source.server, source.name),
                Remote(target.server, target.name),
                {f"public.{TABLE}": COLUMNS},
            )
            source.execute(CREATE)
            make_transaction(source, rows)
            pipeline.prepare()
            run_night(pipeline)
            yield pipeline
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _change(production: Database, rows: int, changes: int, number: int) -> None:
    last = production.scalar(f"select max(id) from {TABLE}")
    shares = {"updates": changes // 2, "deletes": changes // 4, "rows": rows, "round": number}
    with production.session() as cursor:
        cursor.execute(_CHANGES, {**shares, "last": last})
    make_transaction(production, changes // 4)
