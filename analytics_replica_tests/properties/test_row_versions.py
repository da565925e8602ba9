"""Histories and kept rows tell what PostgreSQL would have shown after every commit, no more.

Oracle: PostgreSQL executes every transaction on a plain table, and its rows are written down after
each; versions are what these pictures show, told naively, commit by commit. Histories are cut into
batches and applies at random.
A failure prints a line that replays it (@reproduce_failure).
Not here: a new copy in the middle, options switched on and off (integration/test_staging_history).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica_tests.properties.test_staging_history import (
    CUTS,
    FEW,
    FIRST,
    KEYED,
    TRANSACTIONS,
    History,
    Step,
    _land_and_apply,
)
from analytics_replica_tests.support.drawings import Drawn, Row, shown
from analytics_replica_tests.support.landed import DAY, Landing
from analytics_replica_tests.support.servers import Database

AT_ONCE = 3
COLUMNS = "id, n, small, big"
Picture = dict[str, tuple[str | None, ...]]
Version = tuple[tuple[str | None, ...], int | None, int | None, bool]
HISTORIES = st.lists(st.tuples(FIRST, TRANSACTIONS), min_size=AT_ONCE, max_size=AT_ONCE)


@pytest.fixture
def directories() -> Iterator[Callable[[], Path]]:
    """A new directory for each example."""
    with tempfile.TemporaryDirectory() as root:
        yield lambda: Path(tempfile.mkdtemp(dir=root))


def _lsn(number: int) -> int:
    return 0x200 + 0x10 * number


def _pictures(warehouse: Database, first: History, told: list[History]) -> list[Picture]:
    """The table after the copy and after each commit, as PostgreSQL prints it."""
    with warehouse.session() as cursor:
        cursor.execute("drop table if exists t")
        cursor.execute("create table t (id int primary key, n numeric(6,2), small text, big text)")
    pictures = []
    for part in (first, *told):
        with warehouse.session() as cursor:
            for statement, values in part.statements:
                cursor.execute(statement, values)
        pictures.append({str(row[0]): row for row in shown(warehouse, "t")})
    return pictures


def _versions(pictures: list[Picture]) -> list[Version]:
    """The versions that the pictures show: image, begin, end, whether the row was gone then."""
    found: list[Version] = []
    open_: dict[str, tuple[tuple[str | None, ...], int | None]] = {
        key: (image, None) for key, image in pictures[0].items()
    }
    for number, picture in enumerate(pictures[1:]):
        at = _lsn(number)
        for key in sorted({*open_, *picture}):
            before, now = open_.get(key), picture.get(key)
            if before is not None and before[0] != now:
                found.append((*open_.pop(key), at, now is None))
            if now is not None and (before is None or before[0] != now):
                open_[key] = (now, at)
    return sorted([*found, *((*v, None, False) for v in open_.values())], key=repr)


def _held(warehouse: Database, table: str) -> list[Version]:
    rows = warehouse.rows(
        f"select {COLUMNS}, _replica_lsn - '0/0', _replica_ended_lsn - '0/0', _replica_deleted, "
        f"_replica_valid_from, _replica_valid_to from history.{table}"
    )
    found: list[Version] = []
    for key, n, small, big, begun, ended, gone, from_, to in rows:
        since = None if begun == 0xFF else int(begun)
        until = None if ended is None else int(ended)
        assert since is None or from_ == _time(since)
        assert to == _time(until)
        image = (str(key), None if n is None else format(n), small, big)
        found.append((image, since, until, gone))
    return sorted(found, key=repr)


def _time(lsn: int | None) -> datetime | None:
    return None if lsn is None else DAY + timedelta(seconds=lsn)


def _told(first: dict[int, Row], transactions: list[list[Step]]) -> tuple[Any, ...]:
    history = History()
    for key, image in first.items():
        history.insert(key, dict(image))
    copied = [{k: v for k, v in row.items() if k != "op"} for row in history.events]
    begun, parts, logged = History(statements=history.statements), [], []
    for steps in transactions:
        history.statements = []
        logged.append(history.transaction(steps))
        parts.append(History(statements=history.statements))
    return begun, copied, parts, logged


@FEW
@given(histories=HISTORIES, cuts=CUTS)
def test_a_history_has_the_versions_that_every_commit_showed(
    warehouse: Database,
    directories: Callable[[], Path],
    histories: list[tuple[dict[int, Row], list[list[Step]]]],
    cuts: list[str],
) -> None:
    warehouse.execute("drop schema if exists history cascade")
    tables = [Drawn(f"shop.t{number}", KEYED) for number in range(AT_ONCE)]
    never = 100_000
    options: dict[str, dict[str, Any]] = {
        t.name: {"history": True, "deleted_days": never} for t in tables[:-1]
    }
    options[tables[-1].name] = {"history": True, "deleted": "keep", "deleted_days": never}
    landing = Landing(directories(), tuple(tables), options=options)
    told = [_told(*history) for history in histories]
    landing.copy_rows(
        "0/100", {t: copied for t, (_, copied, _, _) in zip(tables, told, strict=True)}
    )
    logged = {t: events for t, (_, _, _, events) in zip(tables, told, strict=True)}
    _land_and_apply(landing, warehouse, logged, cuts)
    for table, (first, _, parts, _) in zip(tables, told, strict=True):
        pictures = _pictures(warehouse, first, parts)
        assert _held(warehouse, table.table.name) == _versions(pictures)
        for number, picture in enumerate(pictures[1:]):
            assert _at(warehouse, table.table.name, _lsn(number)) == sorted(
                picture.values(), key=repr
            )


def _at(warehouse: Database, table: str, lsn: int) -> list[tuple[str | None, ...]]:
    """The state at this moment, asked as docs/how-to/keep-history.md tells analysts to."""
    warehouse.execute(
        f"create or replace view moment as select {COLUMNS} from history.{table} "
        f"where coalesce(_replica_valid_from, '-infinity') <= '{_time(lsn)}' "
        f"and coalesce(_replica_valid_to, 'infinity') > '{_time(lsn)}'"
    )
    rows = shown(warehouse, "moment")
    warehouse.execute("drop view moment")
    return sorted(rows, key=repr)


@FEW
@given(histories=HISTORIES, cuts=CUTS)
def test_kept_rows_are_the_living_and_the_last_image_of_the_dead(
    warehouse: Database,
    directories: Callable[[], Path],
    histories: list[tuple[dict[int, Row], list[list[Step]]]],
    cuts: list[str],
) -> None:
    tables = [Drawn(f"shop.t{number}", KEYED) for number in range(AT_ONCE)]
    options = {t.name: {"deleted": "keep", "deleted_days": 100_000} for t in tables}
    landing = Landing(directories(), tuple(tables), options=options)
    told = [_told(*history) for history in histories]
    landing.copy_rows(
        "0/100", {t: copied for t, (_, copied, _, _) in zip(tables, told, strict=True)}
    )
    logged = {t: events for t, (_, _, _, events) in zip(tables, told, strict=True)}
    _land_and_apply(landing, warehouse, logged, cuts)
    for table, (first, _, parts, _) in zip(tables, told, strict=True):
        pictures = _pictures(warehouse, first, parts)
        target = f"staging.{table.table.name}"
        assert _kept(warehouse, target) == _last_images(pictures)
        counted = "select rows from ops.applied_tables where staging_name = %s"
        assert warehouse.rows(counted, (table.table.name,)) == [(len(pictures[-1]),)]


def _kept(warehouse: Database, target: str) -> list[tuple[Any, ...]]:
    rows = warehouse.rows(
        f"select {COLUMNS}, _replica_deleted_lsn - '0/0', _replica_deleted_at from {target}"
    )
    found = []
    for key, n, small, big, gone, at in rows:
        until = None if gone is None else int(gone)
        assert at == _time(until)
        found.append(((str(key), None if n is None else format(n), small, big), until))
    return sorted(found, key=repr)


def _last_images(pictures: list[Picture]) -> list[tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {key: (image, None) for key, image in pictures[0].items()}
    for number, picture in enumerate(pictures[1:]):
        for key, (image, gone) in found.items():
            if key not in picture and gone is None:
                found[key] = (image, _lsn(number))
        found |= {key: (image, None) for key, image in picture.items()}
    return sorted(found.values(), key=repr)
