"""Staging against a physical copy of production at a known position.

Oracle: PostgreSQL's own base backup of the test's production, and the test, which changes one thing
in staging and knows what it changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Outcome, Verdict
from analytics_replica.staging.reconciliation import against_copy
from analytics_replica.staging.reconciliation.judgement import against_landing
from analytics_replica_tests.support.copying import ACCOUNTS, NOTES, WRITES, apply, small_shop
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    made = small_shop(production, pipeline)
    for number in range(5):
        production.execute(WRITES.format(n=number))
    made.capture()
    apply(made)
    return made


def compared(shop: Pipeline) -> list[Verdict]:
    clock = SystemClock()
    return against_copy.against_copy(shop.settings, clock, [ACCOUNTS, NOTES])


def outcomes(verdicts: list[Verdict]) -> list[Outcome]:
    return [verdict.outcome for verdict in verdicts]


def test_staging_behind_the_copy_passes_without_the_keys_that_were_touched_since(
    shop: Pipeline,
) -> None:
    shop.production.execute(WRITES.format(n=1000))
    updated = shop.production.scalar("select count(*) from accounts where id % 7 = 1000 % 7")
    verdicts = compared(shop)
    assert outcomes(verdicts) == [Outcome.PASS, Outcome.PASS], verdicts
    figures = verdicts[0].figures
    assert Lsn.parse(str(figures["copy_lsn"])) > Lsn.parse(str(figures["lsn"]))
    assert int(figures["keys_left_out"]) >= updated
    assert int(figures["rows"]) > 100
    assert against_landing(shop.settings, ACCOUNTS).passed
    assert against_landing(shop.settings, NOTES).passed


def test_a_changed_cell_a_lost_row_and_a_copy_too_many_are_found_by_a_copy_that_is_ahead(
    shop: Pipeline,
) -> None:
    shop.warehouse.execute("update staging.accounts set amount = amount + 1 where id = 6")
    shop.warehouse.execute("delete from staging.accounts where id = 5")
    shop.warehouse.execute("update staging.accounts set email = 'raw' where id = 8")
    shop.warehouse.execute("insert into staging.notes values (2, 'same line', '0/1')")
    shop.production.execute("update accounts set amount = 7 where id > 400")
    shop.production.execute("insert into notes values (8, 'since')")
    accounts, notes = compared(shop)
    assert [str(finding) for finding in accounts.findings] == [
        "staging.accounts.email: differs in 1 row",
        "staging.accounts.amount: differs in 1 row",
        "staging.accounts id=5: is missing from staging (once expected)",
        "staging.accounts id=6: differs in amount",
        "staging.accounts id=8: differs in email",
    ]
    (one,) = notes.findings
    assert "expected" in str(one)


def test_staging_ahead_of_the_copy_is_brought_to_one_position_too(
    shop: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the copy and the comparison traffic goes on, is captured and applied."""
    opened = against_copy._opened

    @contextmanager
    def meanwhile(*arguments: object) -> Iterator[object]:
        with opened(*arguments) as copy:  # type: ignore[arg-type]
            shop.production.execute(WRITES.format(n=2000))
            shop.capture()
            apply(shop)
            yield copy

    monkeypatch.setattr(against_copy, "_opened", meanwhile)
    verdicts = compared(shop)
    assert outcomes(verdicts) == [Outcome.PASS, Outcome.PASS], verdicts
    figures = verdicts[0].figures
    assert Lsn.parse(str(figures["copy_lsn"])) < Lsn.parse(str(figures["lsn"]))
    shop.warehouse.execute("update staging.accounts set amount = -1 where id = 6")
    shop.warehouse.execute(
        "delete from staging.notes where ctid = (select min(ctid) from staging.notes)"
    )
    assert outcomes(compared(shop)) == [Outcome.FAIL, Outcome.FAIL]


def test_a_truncation_between_the_positions_is_not_guessed_over(shop: Pipeline) -> None:
    shop.production.execute("truncate notes")
    accounts, notes = compared(shop)
    assert (accounts.outcome, notes.outcome) == (Outcome.PASS, Outcome.CANNOT_TELL)
    assert "truncated" in notes.summary()
    assert json.dumps(dict(notes.figures))
