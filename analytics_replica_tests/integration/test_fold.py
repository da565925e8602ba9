"""Folding landing: what it may fold, what is left, and that no crash loses anything.

Oracles: staging as PostgreSQL shows it after a rebuild, and DuckDB over every byte in landing.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import AlreadyRunning, LandingBroken
from analytics_replica.landing.contiguity import check_contiguity, require_contiguity
from analytics_replica.landing.folding import not_folded
from analytics_replica.landing.layout import manifest_path
from analytics_replica.landing.manifest import last_manifest, manifests, sequences
from analytics_replica.landing.recopy import stream_begins
from analytics_replica.landing.silence import record_silence, silent_upto
from analytics_replica.postgres.connect import advisory_lock
from analytics_replica.staging.fold import APPLY, CannotFold
from analytics_replica_tests.support.drawings import Drawn
from analytics_replica_tests.support.folded import files, folded, holds, rebuilt, staging
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.servers import Database

SECRET = "Bergenhus"
FIRST = {
    PEOPLE: f"""
    id | city     | bio
     1 | Oslo     | one
     2 | {SECRET} | two
     3 | Turku    | three
    """,
    LOG: f"""
    at         | line
    2026-01-01 | {SECRET}
    2026-01-02 | b
    2026-01-02 | b
    """,
}


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def landing(tmp_path: Path, warehouse: Database) -> Landing:
    """Two tables over five batches, all applied; who lived in Bergenhus is deleted in the third."""
    warehouse.execute("drop schema if exists staging, ops cascade")
    made = Landing(tmp_path, (PEOPLE, LOG))
    made.copy("0/100", FIRST)
    updated = "lsn | op | id | city | bio\n0/110 | update | 3 | Rome | ~"
    made.stream("0/200", {PEOPLE: updated})
    made.stream(
        "0/300",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/210 | delete | 2  |      |
            0/210 | insert | 4  | Nice | four
            """,
            LOG: f"""
            lsn   | op     | at         | line
            0/210 | delete | 2026-01-01 | {SECRET}
            0/220 | delete | 2026-01-02 | b
            """,
        },
    )
    made.stream("0/400")
    made.stream(
        "0/500",
        {
            PEOPLE: """
            lsn   | op     | id | city | bio
            0/410 | delete | 3  |      |
            0/410 | move   | 7  | Rome | ~
            """
        },
    )
    made.apply(warehouse)
    return made


@pytest.mark.parametrize("upto", [1, 2, 3, 4, 5])
def test_a_fold_at_any_batch_leaves_the_same_staging(
    landing: Landing, warehouse: Database, upto: int
) -> None:
    before = rebuilt(landing, warehouse)
    report = folded(landing, warehouse, upto)
    assert sequences(landing.store) == list(range(upto, 6))
    assert report.base == (upto if upto > 1 else None)
    assert rebuilt(landing, warehouse) == before
    assert check_contiguity(landing.store, files=True).outcome is Outcome.PASS
    named = {file.path for manifest in manifests(landing.store) for file in manifest.files}
    assert files(landing) == named


def test_rows_deleted_before_the_fold_are_in_no_file(landing: Landing, warehouse: Database) -> None:
    assert holds(landing, SECRET)
    folded(landing, warehouse, 2)
    assert holds(landing, SECRET), "they were deleted later"
    folded(landing, warehouse, 3)
    assert not holds(landing, SECRET)


def test_folds_of_folds_and_later_batches_go_on(landing: Landing, warehouse: Database) -> None:
    for upto in (2, 3, 5):
        folded(landing, warehouse, upto)
    before = rebuilt(landing, warehouse)
    newest = last_manifest(landing.store)
    assert newest is not None
    assert newest[1] == landing.previous, "the next batch names what the base stands for"
    landing.stream(
        "0/600",
        {
            PEOPLE: """
            lsn   | op     | id | city   | bio
            0/510 | update | 7  | Madrid | ~
            """
        },
    )
    assert check_contiguity(landing.store, files=True).outcome is Outcome.PASS
    require_contiguity(landing.store)
    assert landing.apply(warehouse).batches == 1
    after = staging(warehouse)
    assert after != before
    assert rebuilt(landing, warehouse) == after


def test_a_fold_up_to_the_newest_batch_keeps_position_and_silence(
    landing: Landing, warehouse: Database
) -> None:
    before = last_manifest(landing.store)
    assert before is not None
    record_silence(landing.store, before[1], Lsn(0x580), SystemClock().now())
    folded(landing, warehouse, 5)
    after = last_manifest(landing.store)
    assert after is not None
    assert (after[1], after[0].sequence, after[0].position) == (before[1], 5, Lsn(0x500))
    assert silent_upto(landing.store, after[1]) == Lsn(0x580)
    assert stream_begins(landing.store) == Lsn(0x500)


def test_what_staging_has_not_applied_is_not_folded(landing: Landing, warehouse: Database) -> None:
    landing.stream("0/600")
    report = folded(landing, warehouse, 9)
    assert (report.base, sequences(landing.store)) == (5, [5, 6])
    assert "staging contains batch 5" in report.waits_for


def test_a_table_that_stands_still_keeps_what_it_has_not_applied(
    landing: Landing, warehouse: Database
) -> None:
    wider = Drawn("shop.people", {"id": "bigint key", "city": "integer", "bio": "text"})
    landing.stream("0/600", {wider: "lsn | op | id | city | bio\n0/510 | insert | 9 | 5 | x"})
    landing.stream("0/700")
    assert landing.apply(warehouse).quarantined
    report = folded(landing, warehouse, 9)
    assert (report.base, sequences(landing.store)) == (5, [5, 6, 7])
    assert "shop.people stands still at batch 5" in report.waits_for
    landing.copy("0/650", {wider: "id | city | bio\n1 | 6 | y"})
    assert landing.apply(warehouse).quarantined == {}
    before = rebuilt(landing, warehouse)
    assert folded(landing, warehouse, 9).base == 8
    assert rebuilt(landing, warehouse) == before


def test_a_copy_keeps_the_changes_that_it_goes_on_from(
    landing: Landing, warehouse: Database
) -> None:
    landing.stream(
        "0/600",
        {PEOPLE: "lsn | op | id | city | bio\n0/550 | insert | 9 | Rome | nine"},
    )
    landing.copy("0/520", {PEOPLE: "id | city | bio\n1 | Oslo | one\n7 | Rome | three"})
    landing.apply(warehouse)
    before = rebuilt(landing, warehouse)
    report = folded(landing, warehouse, 6)
    assert report.base == 5, "batch 6 has changes from after the copy's position"
    assert rebuilt(landing, warehouse) == before
    assert folded(landing, warehouse, 7).base == 7
    assert rebuilt(landing, warehouse) == before


def test_rows_keep_the_treatment_that_they_came_with(landing: Landing, warehouse: Database) -> None:
    newer = replace_treatment(PEOPLE)
    landing.tables = (PEOPLE, LOG)
    landing.stream("0/600", {newer: "lsn | op | id | city | bio\n0/510 | update | 1 | x | y"})
    landing.apply(warehouse)
    before = rebuilt(landing, warehouse)
    known = warehouse.rows("select columns from ops.applied_tables where table_name = 'people'")
    folded(landing, warehouse, 9)
    assert rebuilt(landing, warehouse) == before
    query = "select columns from ops.applied_tables where table_name = 'people'"
    assert warehouse.rows(query) == known


def replace_treatment(drawn: Drawn) -> Drawn:
    """The same table with city masked from now on."""

    class Masked(Drawn):
        def landed(self) -> tuple[LandedColumn, ...]:
            return tuple(
                replace(c, treatment='token {"domain":"city","key":"k1"}')
                if c.column.name == "city"
                else c
                for c in drawn.landed()
            )

    return Masked(drawn.name, drawn.columns)


@pytest.mark.parametrize("point", ["file written", "manifest", "remove"])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_kill_at_any_point_loses_nothing_and_the_next_fold_completes_it(
    landing: Landing, warehouse: Database, point: str, times: int
) -> None:
    before = rebuilt(landing, warehouse)
    left = times

    def die(reached: str) -> None:
        nonlocal left
        left -= reached == point
        if left == 0:
            raise Killed

    with contextlib.suppress(Killed):
        folded(landing, warehouse, 3, reached=die)
    assert check_contiguity(landing.store, files=True).outcome is Outcome.PASS
    require_contiguity(landing.store)
    assert rebuilt(landing, warehouse) == before
    landing.stream("0/600")
    landing.apply(warehouse)
    folded(landing, warehouse, 3)
    assert rebuilt(landing, warehouse) == before
    assert not holds(landing, SECRET)
    named = {file.path for manifest in manifests(landing.store) for file in manifest.files}
    assert files(landing) == named


def test_a_fold_stands_back_for_an_apply_and_for_a_copy_that_joins(
    landing: Landing, warehouse: Database
) -> None:
    with advisory_lock(warehouse.dsn("loader"), APPLY), pytest.raises(AlreadyRunning):
        folded(landing, warehouse, 3)
    with not_folded(landing.store, wait=False), pytest.raises(AlreadyRunning):
        folded(landing, warehouse, 3)
    assert sequences(landing.store) == [1, 2, 3, 4, 5]


def test_a_file_that_is_not_what_was_landed_stops_the_fold(
    landing: Landing, warehouse: Database
) -> None:
    changed = next(landing.root.rglob("people/0000000002-*.parquet"))
    changed.write_bytes(changed.read_bytes()[:-1])
    with pytest.raises(LandingBroken, match="not the file that was landed"):
        folded(landing, warehouse, 3)
    assert sequences(landing.store) == [1, 2, 3, 4, 5]


def test_a_landing_that_lost_its_copy_is_not_folded(landing: Landing, warehouse: Database) -> None:
    landing.store.remove(manifest_path(1))
    with pytest.raises(CannotFold, match="does not hold the copy"):
        folded(landing, warehouse, 3)
