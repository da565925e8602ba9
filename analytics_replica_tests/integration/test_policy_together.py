"""Rules that are right for each column and wrong together are refused, and patterns only mask.

Judged by PostgreSQL's catalog and by DuckDB reading what was landed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import PolicyViolation
from analytics_replica.landing.recovery import recover
from analytics_replica.landing.resync import resync
from analytics_replica.masking.strategies.hmac_tokens import token_of
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.pipeline import KEY, Pipeline
from analytics_replica_tests.support.servers import Database

TOKEN = {"mask": "token", "domain": "person"}


def two_tables(production: Database) -> None:
    production.execute(
        """
        create table person (ssn text primary key, n int);
        create table "Order" (id int primary key, "Of Person" text references person);
        insert into person values ('078-05-1120', 1); insert into "Order" values (1, '078-05-1120')
        """
    )


def rules(of_person: Any, key: Any = TOKEN) -> dict[str, dict[str, Any]]:
    return {
        "public.person": {"ssn": key, "n": "keep"},
        'public."Order"': {"id": "keep", "Of Person": of_person},
    }


@pytest.mark.parametrize("of_person", ["keep", {**TOKEN, "domain": "other"}])
def test_a_column_that_refers_to_a_masked_key_is_masked_as_the_key_is_or_refused(
    production: Database, pipeline: Callable[..., Pipeline], of_person: Any
) -> None:
    two_tables(production)
    made = pipeline(rules(of_person))
    made.prepare()
    with pytest.raises(PolicyViolation, match=r'public\."Order"\.Of Person is .* refers to') as no:
        made.capture()
    assert "078-05" not in str(no.value)
    assert made.landed("public.person") == []


def test_policy_check_says_so_before_anything_is_copied(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    two_tables(production)
    made = pipeline(rules("keep"))
    ended = call_on(made, "policy", "check", "--catalog", production.dsn(), "--json")
    assert ended.code == PolicyViolation.exit_code
    (objection,) = ended.json["objections"]
    assert (objection["table"], objection["column"]) == ('public."Order"', "Of Person")
    assert "it would give away what the mask hides" in objection["reason"]
    assert (
        "Of Person: keep"
        in (made.root / "replica.yaml").read_text().splitlines()[objection["line"] - 1]
    )


def test_a_table_that_is_copied_again_goes_with_those_that_are_not(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    two_tables(production)
    made = pipeline(rules("keep", "keep"))
    made.prepare()
    made.capture()
    made.tables = {**rules("keep")}
    person = TableName("public", "person")
    with pytest.raises(PolicyViolation, match=r'public\."Order"\.Of Person is keep, but it refers'):
        resync(made.settings, SystemClock(), [person], patience=timedelta(0))


@pytest.mark.parametrize("of_person", [TOKEN, "drop", {"mask": "null"}])
def test_a_reference_that_joins_or_says_nothing_passes(
    production: Database, pipeline: Callable[..., Pipeline], of_person: Any
) -> None:
    two_tables(production)
    made = pipeline(rules(of_person))
    made.prepare()
    made.capture()
    token = token_of("078-05-1120", "person", bytes.fromhex(KEY))
    assert made.landed("public.person", "ssn") == [(token,)]
    if of_person is TOKEN:
        assert made.landed('public."Order"', '"Of Person"') == [(token,)]


@pytest.mark.parametrize(
    ("mask", "refused"),
    [
        ({"mask": "last4"}, True),
        ({"mask": "token", "domain": "c", "as": "int64"}, True),
        ({"mask": "constant", "value": "x"}, True),
        ({"mask": "token", "domain": "c", "normalise": "trim_lower"}, False),
        ({"mask": "null"}, False),
        ("keep", False),
    ],
)
def test_what_is_unique_in_production_may_not_become_equal(
    production: Database, pipeline: Callable[..., Pipeline], mask: Any, *, refused: bool
) -> None:
    production.execute("create table card (id int primary key, no text unique, n int)")
    production.execute("insert into card values (1, '4111111111111111', 1)")
    made = pipeline({"public.card": {"id": "keep", "no": mask, "n": "keep"}})
    made.prepare()
    if refused:
        with pytest.raises(PolicyViolation, match=r"public\.card\.no is part of what is unique"):
            made.capture()
    else:
        made.capture()


PATTERNS = {
    "public.*.secret*": "drop",
    "PUBLIC.people.*Mail*": {"class": "email"},
    "*.*.100%_sure": {"mask": "null"},
}


def test_a_pattern_masks_what_nobody_listed_in_copies_and_in_the_stream(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(
        """
        create table people (id int primary key, "E Mail" text, secret_mail text, "100%_sure" text,
            "100 x sure" text, listed_mail text);
        insert into people values (1, ' A@x.org', 's', 'y', 'z', 'dropped@x.org')
        """
    )
    made = pipeline({"public.people": {"id": "keep", "100 x sure": "keep", "listed_mail": "drop"}})
    made.changes["masking.patterns"] = PATTERNS
    production.execute("alter table people drop column secret_mail")
    made.prepare()
    published = production.rows("select attnames::text[] from pg_publication_tables")
    assert sorted(published[0][0]) == ["100 x sure", "100%_sure", "E Mail", "id"]
    made.capture()
    production.execute("""insert into people ("id", "E Mail") values (2, 'a@X.org')""")
    made.capture()
    token = token_of("a@x.org", "email", bytes.fromhex(KEY)) + "@x.org"
    assert made.landed("public.people", '"E Mail", "100%_sure"') == [(token, None)] * 2


def test_a_pattern_that_drops_keeps_the_column_out_of_the_publication(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create table people (id int primary key, secret_mail text, mail text)")
    made = pipeline({"public.people": {"id": "keep"}})
    made.changes["masking.patterns"] = {**PATTERNS, "public.people.*": {"mask": "null"}}
    made.prepare()
    assert production.rows("select attnames::text[] from pg_publication_tables") == [
        (["id", "mail"],)
    ]


def test_a_column_that_nobody_classified_yet_does_not_stop_a_repair(
    production: Database, warehouse: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create table t (id int primary key); insert into t values (1), (2)")
    made = pipeline({"public.t": {"id": "keep"}})
    made.prepare()
    made.capture()
    production.execute("alter table t add column diagnosis text default 'planted-diagnosis'")
    recover(made.settings, SystemClock())
    apply_pending(made.settings, SystemClock())
    assert warehouse.rows("select id from staging.t order by 1") == [(1,), (2,)]
    assert b"planted-diagnosis" not in b"".join(
        file.read_bytes() for file in (made.root / "landing").rglob("*") if file.is_file()
    )
