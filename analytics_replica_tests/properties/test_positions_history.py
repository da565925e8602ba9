"""Staging at any commit boundary is production there, for any history, and goes on from there.

Oracle: PostgreSQL executes the same statements one by one, and is looked at after each
transaction. Histories and batches are those of test_staging_history.py. A failure prints a line
that replays it (@reproduce_failure).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.fold import fold
from analytics_replica.staging.rebuild import Asked, rebuild
from analytics_replica.staging.upto import NotRetained, upto
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
from analytics_replica_tests.support.drawings import Drawn, Row, shown
from analytics_replica_tests.support.landed import DAY, Landing
from analytics_replica_tests.support.servers import Database

COMMITS = 8
ENDS = st.lists(st.booleans(), min_size=COMMITS, max_size=COMMITS)
KEYED_HISTORIES = st.lists(st.tuples(FIRST, TRANSACTIONS), min_size=2, max_size=2)
KEYLESS_HISTORIES = st.lists(st.tuples(st.lists(ROWS, max_size=4), CHANGES), min_size=2, max_size=2)
Keyed = list[tuple[dict[int, Row], list[list[Step]]]]
Keyless = list[tuple[list[Pair], list[list[tuple[bool, Pair]]]]]
Picture = dict[TableName, list[tuple[str | None, ...]]]


@pytest.fixture
def directories() -> Iterator[Callable[[], Path]]:
    """A new directory for each example."""
    with tempfile.TemporaryDirectory() as root:
        yield lambda: Path(tempfile.mkdtemp(dir=root))


@dataclass
class Made:
    """A landing, and production as PostgreSQL shows it after each of its commits."""

    landing: Landing
    pictures: list[Picture]

    def position(self, commit: int) -> Lsn:
        """A position between this commit (0: the copy) and the next."""
        return Lsn(0x200 + 0x10 * commit)


def commit_position(number: int) -> Lsn:
    """Where the commit with this number (from 1) is."""
    return Lsn(0x200 + 0x10 * (number - 1))


@settings(parent=FEW, max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    keyed=KEYED_HISTORIES,
    keyless=KEYLESS_HISTORIES,
    ends=ENDS,
    stops=st.sets(st.integers(0, COMMITS), min_size=1).map(sorted),
    by_time=st.booleans(),
)
def test_an_apply_up_to_any_commit_is_production_there_and_goes_on_exactly(
    warehouse: Database,
    directories: Callable[[], Path],
    keyed: Keyed,
    keyless: Keyless,
    ends: list[bool],
    stops: list[int],
    by_time: bool,  # noqa: FBT001 - hypothesis gives it by name
) -> None:
    made = _made(directories(), warehouse, keyed, keyless, ends)
    wanted = made.landing.settings(warehouse)
    for stop in [*stops, COMMITS]:
        position = made.position(stop)
        asked = DAY + timedelta(seconds=commit_position(stop).value) if by_time else position
        if by_time and stop == 0:
            continue  # before the first commit nobody knows when the copy was
        report = apply_pending(wanted, SystemClock(), upto=upto(made.landing.store, asked))
        assert report.quarantined == {}
        assert _picture(warehouse, made.landing) == made.pictures[stop]
        assert warehouse.scalar("select count(distinct position) from ops.applied_tables") == 1
    assert apply_pending(wanted, SystemClock()).quarantined == {}
    assert _picture(warehouse, made.landing) == made.pictures[COMMITS]


@settings(parent=FEW, max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    keyed=KEYED_HISTORIES,
    keyless=KEYLESS_HISTORIES,
    ends=ENDS,
    alone=st.lists(
        st.tuples(st.sets(st.integers(0, 3), min_size=1, max_size=3), st.integers(0, COMMITS)),
        min_size=1,
        max_size=4,
    ),
    together=st.integers(0, COMMITS),
)
def test_tables_that_were_applied_alone_are_joined_by_all_others_exactly(
    warehouse: Database,
    directories: Callable[[], Path],
    keyed: Keyed,
    keyless: Keyless,
    ends: list[bool],
    alone: list[tuple[set[int], int]],
    together: int,
) -> None:
    made = _made(directories(), warehouse, keyed, keyless, ends)
    landing, store = made.landing, made.landing.store
    wanted = landing.settings(warehouse)
    apply_pending(wanted, SystemClock(), upto=upto(store, made.position(0)))
    stands = dict.fromkeys((drawn.table for drawn in landing.tables), 0)
    for chosen, stop in sorted(alone, key=lambda a: a[1]):
        tables = {landing.tables[number].table for number in chosen}
        report = apply_pending(
            wanted, SystemClock(), tables=tables, upto=upto(store, made.position(stop))
        )
        stands |= dict.fromkeys(tables, stop)
        assert report.quarantined == {}
        expected = {table: made.pictures[commit][table] for table, commit in stands.items()}
        assert _picture(warehouse, landing) == expected
        further = {table for table, commit in stands.items() if commit > 0}
        assert further == set(report.several_instants)
    end = max(together, *stands.values())
    report = apply_pending(wanted, SystemClock(), upto=upto(store, made.position(end)))
    assert report.several_instants == {}
    assert _picture(warehouse, landing) == made.pictures[end]
    apply_pending(wanted, SystemClock())
    assert _picture(warehouse, landing) == made.pictures[COMMITS]


@settings(parent=FEW, max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    keyed=KEYED_HISTORIES,
    keyless=KEYLESS_HISTORIES,
    ends=ENDS,
    stops=st.sets(st.integers(0, COMMITS), min_size=2, max_size=3).map(sorted),
    edge=st.integers(1, 5),
)
def test_a_rebuild_as_of_any_commit_is_production_there_also_after_a_fold(
    warehouse: Database,
    directories: Callable[[], Path],
    keyed: Keyed,
    keyless: Keyless,
    ends: list[bool],
    stops: list[int],
    edge: int,
) -> None:
    made = _made(directories(), warehouse, keyed, keyless, ends)
    wanted = made.landing.settings(warehouse)
    apply_pending(wanted, SystemClock())

    def as_of(stop: int) -> Picture:
        asked = Asked(as_of=made.position(stop), swap=False)
        assert rebuild(wanted, SystemClock(), asked=asked).quarantined == {}
        return _picture(warehouse, made.landing, "staging_rebuilt")

    assert [as_of(stop) for stop in stops] == [made.pictures[stop] for stop in stops]
    folded = fold(wanted, SystemClock(), before=DAY + timedelta(hours=edge, minutes=30))
    for stop in [*stops, COMMITS]:
        if folded.position is not None and made.position(stop) < folded.position:
            with pytest.raises(NotRetained, match=f"position is {folded.position}"):
                as_of(stop)
        else:
            assert as_of(stop) == made.pictures[stop]
    assert _picture(warehouse, made.landing) == made.pictures[COMMITS]


def _made(
    root: Path, warehouse: Database, keyed: Keyed, keyless: Keyless, ends: list[bool]
) -> Made:
    warehouse.execute("drop schema if exists staging, ops, staging_rebuilt cascade")
    tables = [Drawn(f"shop.t{n}", KEYED) for n in range(len(keyed))]
    without = [Drawn(f"shop.m{n}", KEYLESS) for n in range(len(keyless))]
    landing = Landing(root, (*tables, *without))
    copied: dict[Drawn, list[Row]] = {}
    logged: dict[Drawn, list[list[Row]]] = {}
    pictures: list[Picture] = [{} for _ in range(COMMITS + 1)]
    for table, (first, transactions) in zip(tables, keyed, strict=True):
        history = History()
        for key, image in first.items():
            history.insert(key, dict(image))
        copied[table] = [{k: v for k, v in row.items() if k != "op"} for row in history.events]
        marks, logged[table] = [len(history.statements)], []
        for steps in transactions:
            logged[table].append(history.transaction(steps))
            marks.append(len(history.statements))
        _executed(warehouse, table, history, marks, pictures)
    for table, (rows, changes) in zip(without, keyless, strict=True):
        copied[table] = [{"n": n, "small": small} for n, small in rows]
        held, after = list(rows), [list(rows)]
        logged[table] = []
        for change in changes:
            logged[table].append(_changed(held, change))
            after.append(list(held))
        _inserted(warehouse, table, after, pictures)
    landing.copy_rows("0/100", copied)
    _landed(landing, logged, ends)
    return Made(landing, pictures)


def _landed(landing: Landing, logged: dict[Drawn, list[list[Row]]], ends: list[bool]) -> None:
    pending: dict[Drawn, list[Row]] = {}
    for number in range(COMMITS):
        lsn = commit_position(number + 1)
        for table, transactions in logged.items():
            for event in transactions[number] if number < len(transactions) else ():
                pending.setdefault(table, []).append({"lsn": str(lsn), **event})
        if ends[number] or number == COMMITS - 1:
            landing.stream_rows(str(Lsn(lsn.value + 8)), pending)
            pending = {}


def _executed(
    warehouse: Database,
    table: Drawn,
    history: History,
    marks: list[int],
    pictures: list[Picture],
) -> None:
    warehouse.execute(
        "drop table if exists t; "
        "create table t (id int primary key, n numeric(6,2), small text, big text)"
    )
    begin = 0
    for commit, picture in enumerate(pictures):
        mark = marks[min(commit, len(marks) - 1)]
        with warehouse.session() as cursor:
            for statement, values in history.statements[begin:mark]:
                cursor.execute(statement, values)
        begin = max(begin, mark)
        picture[table.table] = shown(warehouse, "t")


def _inserted(
    warehouse: Database, table: Drawn, after: list[list[Pair]], pictures: list[Picture]
) -> None:
    for commit, picture in enumerate(pictures):
        with warehouse.session() as cursor:
            cursor.execute("drop table if exists m; create table m (n real, small text)")
            cursor.executemany("insert into m values (%s, %s)", after[min(commit, len(after) - 1)])
        picture[table.table] = shown(warehouse, "m")


def _picture(warehouse: Database, landing: Landing, schema: str = "staging") -> Picture:
    return {d.table: shown(warehouse, f"{schema}.{d.table.name}") for d in landing.tables}
