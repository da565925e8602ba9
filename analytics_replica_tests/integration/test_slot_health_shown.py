"""A slot that keeps too much is seen in `status`, in `doctor` and by the check in Dagster.

The figures are PostgreSQL's: the log is really written, and really kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.retention import ABOUT, Allowance, check_slot_retention
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.checks.raw import CHECKS
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.guarded import captured
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def full(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A pipeline whose capture found some 5 MB of kept log, of which 4 MB are allowed."""
    production.execute("create table t (id int primary key)")
    made = pipeline({"public.t": {"id": "keep"}}, **{"deadlines.slot_retention_warn_mb": 4})
    made.prepare()
    captured(made)
    for _ in range(5):
        production.rows("select pg_logical_emit_message(true, '', repeat('x', 1000000))")
    captured(made)
    return made


def kept(made: Pipeline) -> int:
    """What PostgreSQL says that the slot keeps now: no more than the capture found."""
    kept_bytes: int = made.production.scalar(
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint "
        "from pg_replication_slots where slot_name = %s",
        (made.slot,),
    )
    return kept_bytes


def test_status_tells_level_figures_and_next_step(full: Pipeline) -> None:
    ended = call_on(full, "status", "--json").json
    assert ended["slot"]["level"] == "critical"
    assert ended["slot"]["retained_bytes"] > 5_000_000
    assert ended["slot"]["limit_bytes"] == 4 * 2**20
    assert any("slot-is-growing.md" in trouble for trouble in ended["troubles"])


def test_doctor_tells_it_with_the_next_step(full: Pipeline) -> None:
    answers: list[Any] = call_on(full, "doctor", "--json").json["answers"]
    (answer,) = [a for a in answers if a["about"] == ABOUT]
    assert answer["outcome"] == "FAIL"
    assert answer["figures"]["level"] == "critical"
    assert "analytics-replica capture" in answer["next"]


def test_the_check_in_dagster_fails_with_the_same_figures(full: Pipeline) -> None:
    allowed = Allowance.of(full.settings.replica.deadlines)
    verdict = check_slot_retention(full.store, SystemClock().now(), allowed)
    asset = keys.raw(full.settings, next(iter(full.settings.tables)))
    result = CHECKS["slot_retention"].result(verdict, CHECKS["slot_retention"].spec("x", asset).key)
    assert not result.passed
    assert result.metadata["level"].value == "critical"


def test_the_next_capture_releases_it_and_all_is_well_again(full: Pipeline) -> None:
    full.production.rows("select pg_log_standby_snapshot()")
    full.production.execute("checkpoint")
    captured(full)
    full.production.rows("select pg_log_standby_snapshot()")
    full.production.execute("checkpoint")
    captured(full)
    assert kept(full) < 4 * 2**20
    assert call_on(full, "status", "--json").json["slot"]["level"] == "ok"
