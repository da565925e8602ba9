"""A landing folded at any batches rebuilds the staging that it rebuilt before, for any history.

Oracle: staging as PostgreSQL shows it, rebuilt from the batches themselves. Histories are those of
test_staging_history.py. A failure prints a line that replays it (@reproduce_failure).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.fold import fold
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.properties.test_staging_history import (
    CHANGES,
    FEW,
    FIRST,
    KEYED,
    KEYLESS,
    ROWS,
    TRANSACTIONS,
    History,
    Pair,
    Step,
    _changed,
)
from analytics_replica_tests.support.drawings import Drawn, Row
from analytics_replica_tests.support.landed import DAY, Landing
from analytics_replica_tests.support.servers import Database

FOLDS = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@pytest.fixture
def directories() -> Iterator[Callable[[], Path]]:
    """A new directory for each example."""
    with tempfile.TemporaryDirectory() as root:
        yield lambda: Path(tempfile.mkdtemp(dir=root))


@settings(parent=FEW, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    keyed=st.lists(st.tuples(FIRST, TRANSACTIONS), min_size=4, max_size=4),
    keyless=st.lists(st.tuples(st.lists(ROWS, max_size=4), CHANGES), min_size=2, max_size=2),
    folds=FOLDS,
)
def test_a_folded_landing_rebuilds_the_same_staging(
    warehouse: Database,
    directories: Callable[[], Path],
    keyed: list[tuple[dict[int, Row], list[list[Step]]]],
    keyless: list[tuple[list[Pair], list[list[tuple[bool, Pair]]]]],
    folds: list[int],
) -> None:
    landing = _landed(directories(), keyed, keyless)
    warehouse.execute("drop schema if exists staging, ops cascade")
    wanted = landing.settings(warehouse)
    assert apply_pending(wanted, SystemClock()).quarantined == {}
    rebuild(wanted, SystemClock())
    before = _staging(warehouse, landing)
    for edge in sorted(folds):
        fold(wanted, SystemClock(), before=DAY + timedelta(hours=edge, minutes=30))
        assert check_contiguity(landing.store, files=True).outcome is Outcome.PASS
        assert apply_pending(wanted, SystemClock()).batches == 0
        rebuild(wanted, SystemClock())
        assert _staging(warehouse, landing) == before


def _landed(
    root: Path,
    keyed: list[tuple[dict[int, Row], list[list[Step]]]],
    keyless: list[tuple[list[Pair], list[list[tuple[bool, Pair]]]]],
) -> Landing:
    tables = [Drawn(f"shop.t{n}", KEYED) for n in range(len(keyed))]
    without = [Drawn(f"shop.m{n}", KEYLESS) for n in range(len(keyless))]
    landing = Landing(root, (*tables, *without))
    copied: dict[Drawn, list[Row]] = {}
    logged: dict[Drawn, list[list[Row]]] = {}
    for table, (first, transactions) in zip(tables, keyed, strict=True):
        history = History()
        for key, image in first.items():
            history.insert(key, dict(image))
        copied[table] = [{k: v for k, v in row.items() if k != "op"} for row in history.events]
        logged[table] = [history.transaction(steps) for steps in transactions]
    for table, (rows, changes) in zip(without, keyless, strict=True):
        copied[table] = [{"n": n, "small": small} for n, small in rows]
        held = list(rows)
        logged[table] = [_changed(held, steps) for steps in changes]
    landing.copy_rows("0/100", copied)
    for number in range(8):
        lsn = Lsn(0x200 + 0x10 * number)
        told = {
            table: [{"lsn": str(lsn), **event} for event in transactions[number]]
            for table, transactions in logged.items()
            if number < len(transactions) and transactions[number]
        }
        landing.stream_rows(str(Lsn(lsn.value + 8)), told)
    return landing


def _staging(warehouse: Database, landing: Landing) -> dict[str, list[tuple[object, ...]]]:
    """Every table of staging as text; of keyed ones also our own columns.

    Of equal rows without a key it is arbitrary which of their events is told.
    """
    return {
        drawn.name: warehouse.rows(
            f"select t::text from (select {'*' if 'id' in drawn.columns else 'n, small'} "
            f"from staging.{drawn.table.name}) t order by 1"
        )
        for drawn in landing.tables
    }
