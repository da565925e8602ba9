"""What one reconciliation costs: for benchmarks.

Here: one table's comparison with landing, timed. Not here: judging it (judgement.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from analytics_replica.domain.progress import SILENT
from analytics_replica.domain.tables import TableName
from analytics_replica.settings.load import Settings
from analytics_replica.staging.reconciliation.comparison import NONE
from analytics_replica.staging.reconciliation.held import holding
from analytics_replica.staging.reconciliation.judgement import Asked, compared_with_landing


@dataclass(frozen=True)
class Cost:
    """One comparison.

    `pass_seconds` is staging's pass with nothing beside it; `whole_seconds` is all of it: the same
    pass, landing's replay and the check of its files.
    """

    rows: int
    columns: int
    equal: bool
    pass_seconds: float
    whole_seconds: float


def reconcile_cost(settings: Settings, table: TableName) -> Cost:
    """Compares the table with landing and says how long it took.

    To be called twice by who wants figures: the first call in a process loads compiled code.
    """
    asked = Asked.of(settings, table, "landing")
    with holding(asked.dsn, table, asked.target) as held:
        began = time.perf_counter()
        held.totals(held.plan, NONE)
        passed = time.perf_counter()
        compared, _ = compared_with_landing(asked, held, SILENT)
        ended = time.perf_counter()
    return Cost(compared.rows, len(held.columns), compared.equal, passed - began, ended - passed)
