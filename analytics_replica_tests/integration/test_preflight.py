"""Preflight: one verdict for each thing that production must have, asked as a capture asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Outcome, Verdict
from analytics_replica.errors import ReplicaError
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.settings.load import Settings
from analytics_replica.source.preflight import (
    NEXT,
    POLICY,
    POSITION,
    PUBLICATION,
    QUESTIONS,
    REACHABLE,
    ROLE,
    SERVER,
    SLOT,
    WAL_LEVEL,
    preflight,
)
from analytics_replica.source.replication import SourceConnection
from analytics_replica.source.slot import require_prepared
from analytics_replica_tests.support.pipeline import ROLE as OUR_ROLE
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

PASS, FAIL, CANNOT_TELL = Outcome.PASS, Outcome.FAIL, Outcome.CANNOT_TELL


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create table people (id int primary key, email text)")
    made = pipeline({"public.people": {"id": "keep", "email": "drop"}})
    made.prepare()
    return made


def outcomes(verdicts: list[Verdict]) -> dict[str, Outcome]:
    return {verdict.about: verdict.outcome for verdict in verdicts}


def with_dsn(settings: Settings, dsn: str) -> Settings:
    secrets = replace(settings.secrets, environ={**settings.secrets.environ, "SOURCE_DSN": dsn})
    return replace(settings, secrets=secrets)


def test_every_question_is_answered_in_order_and_all_pass_on_a_prepared_production(
    people: Pipeline,
) -> None:
    verdicts = preflight(people.settings)
    assert tuple(verdict.about for verdict in verdicts) == QUESTIONS
    assert set(outcomes(verdicts).values()) == {PASS}


def test_what_an_earlier_answer_hides_cannot_be_told(people: Pipeline) -> None:
    answers = preflight(with_dsn(people.settings, "postgresql://x@127.0.0.1:1/shop"))
    assert outcomes(answers) == {REACHABLE: FAIL, **dict.fromkeys(QUESTIONS[1:], CANNOT_TELL)}
    assert answers[0].findings[0].subject == "SourceUnreachable"


def test_a_role_without_the_right_is_told_apart_from_a_server_that_does_not_answer(
    people: Pipeline,
) -> None:
    answers = outcomes(preflight(with_dsn(people.settings, people.production.dsn("analyst"))))
    assert (answers[REACHABLE], answers[ROLE], answers[SLOT]) == (PASS, FAIL, CANNOT_TELL)


def test_each_missing_thing_fails_its_own_question_only(people: Pipeline) -> None:
    people.production.execute("drop publication analytics_replica")
    answers = outcomes(preflight(people.settings))
    assert answers == {
        **dict.fromkeys((REACHABLE, ROLE, SERVER, WAL_LEVEL, SLOT), PASS),
        PUBLICATION: FAIL,
        POLICY: CANNOT_TELL,
        POSITION: CANNOT_TELL,
    }


def test_a_missing_slot_fails_while_the_publication_passes(people: Pipeline) -> None:
    people.production.execute(f"select pg_drop_replication_slot('{people.slot}')")
    answers = outcomes(preflight(people.settings))
    assert (answers[PUBLICATION], answers[POLICY], answers[SLOT]) == (PASS, PASS, FAIL)


def test_a_publication_with_other_tables_than_the_policy_is_told(people: Pipeline) -> None:
    people.production.execute("create table extra (id int primary key)")
    people.production.execute("alter publication analytics_replica add table extra")
    (verdict,) = [v for v in preflight(people.settings) if v.about == POLICY]
    assert verdict.outcome is FAIL
    assert verdict.findings[0].subject == "public.extra"
    assert verdict.findings[-1].subject == NEXT


def test_a_slot_that_is_being_read_is_told(people: Pipeline) -> None:
    with SourceConnection(people.production.dsn(OUR_ROLE)) as other:
        other.start(people.slot, ("analytics_replica",), Lsn(0), 180000)
        assert outcomes(preflight(people.settings))[SLOT] is FAIL


def test_a_slot_that_was_moved_past_landing_is_told(people: Pipeline) -> None:
    people.capture()
    last = last_manifest(people.store)
    assert last is not None
    assert outcomes(preflight(people.settings, last=last[0]))[POSITION] is PASS
    people.production.execute("insert into people values (1, 'x')")
    people.production.execute(
        f"select pg_replication_slot_advance('{people.slot}', pg_current_wal_lsn())"
    )
    assert outcomes(preflight(people.settings, last=last[0]))[POSITION] is FAIL


def test_wal_level_is_judged_even_where_slot_and_publication_are_missing(
    warehouse: Database, pipeline: Callable[..., Pipeline]
) -> None:
    made = pipeline({"public.people": {"id": "keep"}})
    with running_server({"wal_level": "replica"}) as server, fresh_database(server, "p") as shop:
        shop.execute(f"create role {OUR_ROLE} login replication")
        answers = outcomes(preflight(with_dsn(made.settings, shop.dsn(OUR_ROLE))))
    assert (answers[WAL_LEVEL], answers[PUBLICATION], answers[SLOT]) == (FAIL, FAIL, FAIL)


@pytest.mark.parametrize("broken", ["nothing", "publication", "slot", "operations"])
def test_preflight_passes_exactly_where_a_capture_would_go_on(
    people: Pipeline, broken: str
) -> None:
    statements = {
        "nothing": "select 1",
        "publication": "drop publication analytics_replica",
        "slot": f"select pg_drop_replication_slot('{people.slot}')",
        "operations": "alter publication analytics_replica set (publish = 'insert')",
    }
    people.production.execute(statements[broken])
    with SourceConnection(people.production.dsn(OUR_ROLE)) as source:
        state = source.read_state(people.slot, "analytics_replica")
    try:
        require_prepared(state, people.slot, "analytics_replica")
    except ReplicaError:
        goes_on = False
    else:
        goes_on = True
    answers = outcomes(preflight(people.settings))
    assert all(answers[q] is PASS for q in (WAL_LEVEL, PUBLICATION, SLOT)) == goes_on
