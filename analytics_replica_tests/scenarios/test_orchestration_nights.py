"""Whole nights through the real graph: PostgreSQL, dbt and Dagster's storage are real.

Every story begins with the edition of a good night published, and ends so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from analytics_replica.errors import (
    AlreadyRunning,
    CheckFailed,
    PublishRefused,
    WarehouseUnreachable,
)
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.checks_runner import CheckState, run_all_checks
from analytics_replica.orchestration.failures import error_of
from analytics_replica.orchestration.nightly import StepState, run_capture, run_nightly
from analytics_replica.postgres.connect import advisory_lock
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.staging.apply import CHAIN_LOCK
from analytics_replica_tests.support.dagster_time import dagster_at, freshness
from analytics_replica_tests.support.nights import House, house

pytestmark = pytest.mark.slow

BERLIN = ZoneInfo("Europe/Berlin")
FIRST_NIGHT = datetime(2026, 1, 10, 3, 20, tzinfo=BERLIN)
"""In the past, so that nights without a frozen clock come later."""
FEES = dg.AssetKey(["gold", "member_fees"])
MEMBERS = dg.AssetKey(["staging", "members"])
VISITS = dg.AssetKey(["staging", "visits"])
READERS_SEE = "select member_id, visits, fees from analytics.member_fees order by 1"
GOOD = [(1, 2, Decimal("12.50")), (2, 1, Decimal("5.00"))]


@pytest.fixture(scope="module")
def club(server: LocalServer) -> Iterator[House]:
    """A house whose first night was good."""
    with house(server) as made:
        with made.instance() as instance, dagster_at(FIRST_NIGHT):
            assert freshness(made.definitions(), instance, keys.READY, FIRST_NIGHT) == "UNKNOWN"
            report = made.night(instance)
            assert report.error is None, report.error
        yield made


@pytest.fixture
def instance(club: House) -> Iterator[dg.DagsterInstance]:
    with club.instance() as opened:
        yield opened


def test_after_a_good_night_analysts_read_masked_gold(club: House) -> None:
    assert club.gold(READERS_SEE) == GOOD
    tokens = club.gold("select email_token from analytics.member_fees")
    assert all("@example.com" in str(token) and len(str(token)) == 44 for (token,) in tokens)


def test_after_a_good_night_analysts_read_up_to_when_it_is_complete(club: House) -> None:
    told = club.gold(
        "select layer, name, state, data_as_of is not null, position = max(position) over () "
        "from analytics.data_as_of order by 1, 2"
    )
    moves = {state for _, _, state, _, _ in told}
    assert [row[:2] for row in told] == [
        ("gold", "member_fees"),
        ("staging", "members"),
        ("staging", "visits"),
    ]
    assert moves <= {"current", "no changes"}
    assert {row[3:] for row in told} == {(True, True)}


def test_every_layer_shows_rows_columns_lineage_and_position(
    club: House, instance: dg.DagsterInstance
) -> None:
    told = {
        key: materialized(instance, key)
        for key in (dg.AssetKey(["raw", "members"]), MEMBERS, FEES, keys.READY)
    }
    raw, staging, gold, ready = told.values()
    for metadata in (raw, staging, gold):
        assert {"dagster/row_count", "dagster/column_schema"} <= metadata.keys()
    assert staging["dagster/row_count"] == 2
    lineage = staging["dagster/column_lineage"]
    assert lineage.deps_by_column["email"][0].asset_key == dg.AssetKey(["raw", "members"])
    assert "email_token" in gold["dagster/column_lineage"].deps_by_column
    assert {"from LSN", "to LSN", "duration_s", "transactions"} <= raw.keys()
    for metadata in (raw, staging):
        assert isinstance(metadata["seconds_behind"], float)
        assert metadata["standing"] in ("current", "no changes")
    assert ready["edition"] == gold["edition"]
    assert ready["position"] == staging["position"]
    seconds = ready["durations_s"]
    assert {"raw", "staging", "gold", "ready", "gold/member_fees"} <= seconds.keys()


def test_ready_is_fresh_until_the_next_deadline_and_not_a_second_longer(
    club: House, instance: dg.DagsterInstance
) -> None:
    at_four = FIRST_NIGHT.replace(hour=4, minute=0)
    definitions = club.definitions()

    def ready(at: datetime) -> str:
        return freshness(definitions, instance, keys.READY, at)

    assert ready(at_four) == "PASS"
    assert ready(at_four + timedelta(days=1, seconds=-1)) == "PASS"
    assert ready(at_four + timedelta(days=1)) == "FAIL"


def test_a_failed_blocking_check_keeps_ready_from_running_and_readers_keep_yesterday(
    club: House, instance: dg.DagsterInstance
) -> None:
    club.production.execute("insert into club.visits values (13, 2, 99.00, '2026-01-03')")
    second_night = FIRST_NIGHT + timedelta(days=1)
    with dagster_at(second_night):
        bad = club.night(instance)

    assert isinstance(bad.error, CheckFailed)
    assert "fees_are_known" in bad.error.what
    assert bad.failed_checks == ("gold/member_fees: fees_are_known",)
    assert {s.stage: s.state for s in bad.steps}["gold"] is StepState.FAILED
    assert "ready" not in {s.stage for s in bad.steps}
    assert club.gold(READERS_SEE) == GOOD

    # Dagster calls the failed model fresh, for it was materialized; only `ready` tells the truth.
    at_four = second_night.replace(hour=4, minute=0)
    assert freshness(club.definitions(), instance, FEES, at_four) == "PASS"
    assert freshness(club.definitions(), instance, keys.READY, at_four) == "FAIL"

    # The checks alone say so, too, and publishing by hand is refused.
    outcomes = {o.check: o.state for o in run_all_checks(club.definitions(), instance)}
    assert outcomes.pop("fees_are_known") is CheckState.FAILED
    assert set(outcomes.values()) == {CheckState.PASSED}
    alone = materialize(club, instance, keys.READY)
    assert isinstance(error_of(failure(alone)), PublishRefused)
    assert "gold/member_fees: fees_are_known failed" in error_of(failure(alone)).what
    assert club.gold(READERS_SEE) == GOOD

    club.production.execute("delete from club.visits where id = 13")
    assert club.night(instance).error is None
    assert {o.state for o in run_all_checks(club.definitions(), instance)} == {CheckState.PASSED}
    assert club.gold(READERS_SEE) == GOOD


def test_an_unmasked_value_in_staging_keeps_gold_from_being_built(
    club: House, instance: dg.DagsterInstance
) -> None:
    token = club.warehouse.scalar("select email from staging.members where id = 1")
    club.warehouse.execute("update staging.members set email = 'ann@example.com' where id = 1")
    bad = club.night(instance)
    assert bad.failed_checks == ("staging/members: masking_proof", "staging/members: reconciled")
    assert "gold" not in {s.stage for s in bad.steps}
    assert "ann@" not in repr(bad)
    # That night had planned the checks of gold, which then did not run.
    refused = error_of(failure(materialize(club, instance, keys.READY)))
    assert isinstance(refused, PublishRefused)

    club.warehouse.execute("update staging.members set email = %s where id = 1", (token,))
    assert club.night(instance).error is None


def test_selecting_one_model_builds_the_whole_edition_which_can_then_be_published(
    club: House, instance: dg.DagsterInstance
) -> None:
    club.production.execute("update club.members set town = 'Bergen' where id = 1")
    run_capture(club.definitions(), instance)
    assert materialize(club, instance, MEMBERS).success
    refused = error_of(failure(materialize(club, instance, keys.READY)))
    assert "staging/visits: masking_proof did not run on what was built" in refused.what

    assert materialize(club, instance, MEMBERS, VISITS).success
    before = latest_run(instance, dg.AssetKey(["base", "base_club__members"]))
    assert materialize(club, instance, FEES).success
    after = latest_run(instance, dg.AssetKey(["base", "base_club__members"]))
    assert (before == after, after) == (False, latest_run(instance, FEES))

    published = materialized(instance, keys.READY)["edition"]
    assert materialize(club, instance, keys.READY).success
    assert materialized(instance, keys.READY)["edition"] != published
    assert club.gold(READERS_SEE) == GOOD


def test_a_second_run_while_one_runs_is_refused_at_once(
    club: House, instance: dg.DagsterInstance
) -> None:
    with advisory_lock(club.warehouse.dsn("loader"), CHAIN_LOCK):
        second = club.night(instance)
    assert isinstance(second.error, AlreadyRunning)
    assert [s.stage for s in second.steps] == ["raw", "raw checks", "staging"]


def test_while_the_warehouse_is_down_production_is_still_captured(
    club: House, instance: dg.DagsterInstance
) -> None:
    before = last_manifest(club.pipeline.store)
    club.production.execute("update club.members set town = 'Oslo' where id = 1")
    nowhere = club.without_warehouse()
    report = run_nightly(nowhere, instance)
    assert isinstance(report.error, WarehouseUnreachable)
    assert (report.steps[0].stage, report.steps[0].state) == ("raw", StepState.SUCCEEDED)
    after = last_manifest(club.pipeline.store)
    assert before is not None
    assert after is not None
    assert after[0].sequence > before[0].sequence


def test_a_claim_on_the_slot_that_a_killed_process_left_does_not_stop_the_night(
    club: House, instance: dg.DagsterInstance
) -> None:
    job = club.definitions().resolve_job_def(keys.CAPTURE_JOB)
    killed = instance.create_run_for_job(job)
    claim = instance.event_log_storage.claim_concurrency_slot(
        keys.SLOT_POOL, killed.run_id, keys.CAPTURE_STEP
    )
    assert claim.is_claimed
    assert run_capture(club.definitions(), instance).error is None
    ended = instance.get_run_by_id(killed.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE


def materialize(
    club: House, instance: dg.DagsterInstance, *selected: dg.AssetKey
) -> dg.ExecuteInProcessResult:
    """What a click on "Materialize" does: these assets alone, with their checks."""
    job = club.definitions().resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, asset_selection=selected, raise_on_error=False)


def failure(result: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    return next(event for event in result.all_events if event.is_step_failure)


def materialized(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: told.value for name, told in event.asset_materialization.metadata.items()}


def latest_run(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    event = instance.get_latest_materialization_event(key)
    assert event is not None
    return event.run_id
