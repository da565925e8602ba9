"""The same night on a table and on one that is ten times as large.

Figure: `growth_ratio_10x`, the apply's seconds on the large table / on the small one. The changes
are spread over the whole table; median of rounds, in which the tables take turns.
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
    select 1 + (n::bigint * %(rows)s / %(updates)s + %(round)s * 7919) %% %(rows)s
    from generate_series(0, %(updates)s - 1) n);
delete from wide where id in (
    select 1 + (n::bigint * %(rows)s / %(deletes)s + 13 + %(round)s * 104729::bigint) %% %(rows)s
    from generate_series(0, %(deletes)s - 1) n);
"""


def measure_growth(rows: int, changes: int, rounds: int, console: Console) -> Figures:
    """Applies nights of so many changes to a table of `rows` rows and to one of ten times that."""
    small: list[float] = []
    large: list[float] = []
    with running_pair() as (production, warehouse), ExitStack() as stack:
        sizes = (rows, 10 * rows)
        pair = [stack.enter_context(_filled(production, warehouse, size)) for size in sizes]
        for number in range(rounds):
            turns = list(zip(pair, sizes, (small, large), strict=True))
            for pipeline, size, seconds in turns if number % 2 == 0 else turns[::-1]:
                _change(pipeline.production, size, changes, number)
                seconds.append(run_night(pipeline).apply)
    shown = Table("apply to", "seconds of each round")
    for size, seconds in ((rows, small), (10 * rows, large)):
        shown.add_row(f"{size:,} rows", " ".join(f"{s:.2f}" for s in seconds))
    console.print(shown)
    ratio = statistics.median(large) / statistics.median(small)
    return {"growth_ratio_10x": round(ratio, 2)}


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
    shares = {"updates": changes // 2, "deletes": changes // 4, "rows": rows, "round": number}
    with production.session() as cursor:
        cursor.execute(_CHANGES, shares)
    make_transaction(production, changes // 4)
