"""Folding a drawn landing, and what is there afterwards.

Here: a fold up to a batch, staging as landing alone gives it, and DuckDB over every file. Not here:
the landing itself (landed.py).
"""

from __future__ import annotations

from datetime import timedelta

import duckdb

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.points import Reached, unheard
from analytics_replica.staging.fold import FoldReport, fold
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.landed import DAY, Landing
from analytics_replica_tests.support.servers import Database


def folded(
    landing: Landing, warehouse: Database, upto: int, reached: Reached = unheard
) -> FoldReport:
    """A fold of the batches up to this one."""
    before = DAY + timedelta(hours=upto, minutes=30)
    return fold(landing.settings(warehouse), SystemClock(), before=before, reached=reached)


def rebuilt(landing: Landing, warehouse: Database) -> list[tuple[object, ...]]:
    """Staging as landing alone gives it."""
    report = rebuild(landing.settings(warehouse), SystemClock())
    assert report.quarantined == {}
    return staging(warehouse)


def staging(warehouse: Database) -> list[tuple[object, ...]]:
    """Staging's rows of production."""
    return [
        *warehouse.rows("select p::text from staging.people p order by 1"),
        *warehouse.rows("select at::text, line from staging.log order by 1, 2"),
    ]


def holds(landing: Landing, text: str) -> bool:
    """True if a landed page has the text, in any file that is there."""
    with duckdb.connect() as connection:
        return any(
            connection.execute(
                "select count(*) from read_parquet($1) t where contains(t::varchar, $2)",
                [str(path), text],
            ).fetchall()[0][0]
            for path in landing.root.rglob("*.parquet")
        )


def files(landing: Landing) -> set[str]:
    """The Parquet files that are there."""
    root = landing.root / "landing"
    return {str(path.relative_to(root)) for path in root.rglob("*.parquet")}
