"""Generated columns arrive as values where production logs them: stored ones, from 18 on.

Oracle: PostgreSQL: what production computes, and what staging holds.
Known gaps: virtual columns are never logged; on older servers no generated column is.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg2
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.postgres.connect import connection
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.drift import check_drift
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

LINES = """
create table lines (id int primary key, n int, price numeric(8,2), mail text,
    total numeric(12,2) generated always as (n * price) stored,
    lower_mail text generated always as (lower(mail)) stored,
    label text generated always as (id || ' x ' || n) stored,
    twice int generated always as (n * 2) virtual);
insert into lines select g, g, g * 1.5, 'Ann' || g || '@example.com' from generate_series(1, 5) g;
"""
RULES = {
    "id": "keep",
    "n": "keep",
    "price": "keep",
    "mail": {"mask": "email", "domain": "m"},
    "total": "keep",
    "lower_mail": {"mask": "email", "domain": "m"},
}


def test_stored_generated_columns_that_are_listed_arrive_kept_or_masked(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(LINES)
    made = pipeline({"public.lines": RULES})
    made.prepare()
    made.capture()
    assert apply_pending(made.settings, SystemClock()).quarantined == {}
    production.execute("update lines set n = 10, mail = 'BOB@example.com' where id = 1")
    production.execute("insert into lines values (6, 2, 2.25, 'eve@example.com')")
    made.capture()
    assert apply_pending(made.settings, SystemClock()).quarantined == {}
    shown = "select id, n, price, total from {} order by id"
    assert production.rows(shown.format("lines")) == made.warehouse.rows(
        shown.format("staging.lines")
    )
    # The mask folds case, so that both columns have one token.
    assert made.warehouse.rows("select id from staging.lines where mail <> lower_mail") == []
    assert (
        made.warehouse.scalar("select count(*) from staging.lines where mail ~ '^(Ann|BOB|eve)'")
        == 0
    )
    held = made.warehouse.rows(
        "select attname from pg_attribute where attrelid = 'staging.lines'::regclass "
        "and attname in ('label', 'twice')"
    )
    assert held == []  # a stored one that nobody listed, and a virtual one
    with connection(made.warehouse.dsn("loader")) as opened:
        (verdict,) = check_drift(opened, made.settings, made.store).values()
    assert verdict.passed, verdict


def test_a_virtual_generated_column_is_refused_by_the_script(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(LINES)
    made = pipeline({"public.lines": {**RULES, "twice": "keep"}})
    with pytest.raises(psycopg2.errors.RaiseException, match="column twice, which is generated"):
        made.prepare()
    assert production.rows("select 1 from pg_publication_tables") == []
