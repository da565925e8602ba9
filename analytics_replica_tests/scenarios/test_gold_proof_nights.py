"""Nights whose gold would show what no policy allows: they are not published, and say so.

Every story begins with the edition of a good night published.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from analytics_replica.errors import PublishRefused
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.checks_runner import CheckOutcome, CheckState, run_all_checks
from analytics_replica.orchestration.failures import error_of
from analytics_replica.orchestration.nightly import NightlyReport, StepState
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.nights import MEMBER_DAYS, House, house

pytestmark = pytest.mark.slow

PROOF = "gold/member_fees: masking_proof"
READERS_SEE = "select * from analytics.member_fees order by member_id"
PLANTED = """
{{ config(post_hook="update {{ this }} set email_token = 'ann@example.com' where member_id = 1") }}
"""
FROM_BESIDE = MEMBER_DAYS.replace(
    "members.email as email_token", "(select max(p.token) from beside.people as p) as email_token"
)


@pytest.fixture(scope="module")
def first_night(server: LocalServer) -> Iterator[tuple[House, NightlyReport]]:
    """A house and its first night, which was good."""
    with house(server) as made:
        with made.instance() as instance:
            report = made.night(instance)
            assert report.error is None
        yield made, report


@pytest.fixture
def club(first_night: tuple[House, NightlyReport]) -> House:
    return first_night[0]


@pytest.fixture
def instance(club: House) -> Iterator[dg.DagsterInstance]:
    with club.instance() as opened:
        yield opened


@contextmanager
def member_fees(club: House, sql: str) -> Iterator[None]:
    """The gold model with other SQL, until the block ends."""
    file = club.root / "dbt_project/models/gold/member_fees.sql"
    file.write_text(sql)
    try:
        yield
    finally:
        file.write_text(MEMBER_DAYS)


def proof(club: House, instance: dg.DagsterInstance) -> CheckOutcome:
    """What the proof of gold says when only the checks run."""
    outcomes = run_all_checks(club.definitions(), instance)
    return next(o for o in outcomes if f"{o.asset}: {o.check}" == PROOF)


def test_a_good_night_proves_every_gold_model_before_it_is_published(
    first_night: tuple[House, NightlyReport], instance: dg.DagsterInstance
) -> None:
    club, report = first_night
    states = [(step.stage, step.state) for step in report.steps]
    assert states[-2:] == [("gold checks", StepState.SUCCEEDED), ("ready", StepState.SUCCEEDED)]
    assert proof(club, instance).state is CheckState.PASSED


def test_a_raw_value_in_the_candidate_edition_keeps_it_from_its_readers(
    club: House, instance: dg.DagsterInstance
) -> None:
    before = club.gold(READERS_SEE)
    with member_fees(club, PLANTED + MEMBER_DAYS):
        bad = club.night(instance)
        assert bad.failed_checks == (PROOF,)
        assert "ready" not in {step.stage for step in bad.steps}
        alone = proof(club, instance)
        assert alone.state is CheckState.FAILED
        assert "email_token: 1 of 2 values do not look like email" in alone.says
        job = club.definitions().resolve_implicit_global_asset_job_def()
        done = job.execute_in_process(
            instance=instance, asset_selection=[keys.READY], raise_on_error=False
        )
        refused = error_of(next(event for event in done.all_events if event.is_step_failure))
        assert isinstance(refused, PublishRefused)
        assert f"{PROOF} failed" in refused.what
    assert "ann@" not in repr(bad) + repr(alone)
    assert club.gold(READERS_SEE) == before


def test_a_column_from_beside_staging_is_not_published_whatever_it_holds(
    club: House, instance: dg.DagsterInstance
) -> None:
    club.warehouse.execute(
        "create schema beside; create table beside.people (token text); "
        "insert into beside.people values ('harmless');"
        "grant usage on schema beside to loader; grant select on beside.people to loader"
    )
    with member_fees(club, FROM_BESIDE):
        assert club.night(instance).failed_checks == (PROOF,)
        says = proof(club, instance).says
    assert "member_fees.email_token: is made of beside.people" in says


def test_a_proof_that_cannot_read_the_models_sql_is_no_pass(
    club: House, instance: dg.DagsterInstance
) -> None:
    for compiled in (club.root / "dbt_project/target/editions").glob("*/compiled"):
        shutil.rmtree(compiled)
    unknown = proof(club, instance)
    assert unknown.state is CheckState.FAILED
    assert "CANNOT_TELL" in unknown.says
