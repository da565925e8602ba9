"""Staging's tables have production's comments and useful indexes, and no word too much.

Oracle: PostgreSQL's `pg_get_indexdef`, `obj_description` and `col_description` on both sides; a
search over the bytes of landing and of every table of the warehouse for what was planted.
What has no form (a name, an illness) stays in a comment, so comments come only where somebody
said so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.searched import files_with, rows_with
from analytics_replica_tests.support.servers import Database

OTHER = '"zoo ""Schema"'
TABLES = f"""
create table people (id int primary key, mail text, born date, tags text[], doc jsonb, note text,
    secret text, city text);
create index people_mail on people (mail);
create unique index "Odd ""Index" on people (born desc, id) include (city);
create index people_nulls on people (city desc nulls last, born nulls first);
create index people_hash on people using hash (mail);
create index people_tags on people using gin (tags);
create index people_doc on people using gin (doc);
create index people_born on people using brin (born);
create unique index people_again on people (id);
create index people_path on people using gin (doc jsonb_path_ops);
create index people_part on people (city) where city <> 'planted-predicate';
create index people_text on people ((city || 'planted-expression'));
create index people_secret on people (secret);
create index people_secret_too on people (city) include (secret);
create index people_note on people (note);
create index people_pattern on people (city text_pattern_ops);
comment on table people is 'Ask planted.person@example.com or +41 44 668 18 00 about it';
comment on column people.mail is 'as in ''CRM''; IBAN CH93 0076 2011 6238 5295 7';
comment on column people.secret is 'planted-secret-comment';
comment on column people.born is 'Birthday \\ "quoted"';
alter table people add constraint c check (city <> 'planted-check');
insert into people (id, mail, born) values (1, 'a@example.com', '2000-01-01');
alter table people alter city set default 'planted-default';
create schema {OTHER};
create table {OTHER}.things (id int primary key, n int);
create index people_mail on {OTHER}.things (n);
create index people on {OTHER}.things (n desc);
"""
RULES = {
    "id": "keep",
    "mail": {"mask": "token", "domain": "m"},
    "born": "keep",
    "tags": "keep",
    "doc": "keep",
    "note": {"mask": "redact"},
    "secret": "drop",
    "city": "keep",
}

INDEXES = """
select c.relname, regexp_replace(pg_get_indexdef(c.oid), '^.* USING ', '')
from pg_index i join pg_class c on c.oid = i.indexrelid
where i.indrelid = %s::regclass and not i.indisprimary
"""
CARRIED = {'Odd "Index', "people_mail", "people_nulls", "people_hash", "people_tags", "people_doc",
           "people_born"}  # fmt: skip

PLANTED = ("planted.person", "+41 44 668", "CH93 0076", "planted-secret", "planted-predicate",
           "planted-expression", "planted-check", "planted-default", "people_secret",
           "people_part")  # fmt: skip


def indexes(database: Database, table: str) -> dict[str, str]:
    return dict(database.rows(INDEXES, (table,)))


def comments(database: Database, table: str) -> dict[str | None, str | None]:
    return dict(
        database.rows(
            "select null, obj_description(%s::regclass) union all "
            "select attname, col_description(attrelid, attnum) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped "
            "and attname !~ '^_replica'",
            (table, table),
        )
    )


def night(made: Pipeline) -> None:
    made.capture()
    assert apply_pending(made.settings, SystemClock()).quarantined == {}


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute(TABLES)
    made = pipeline({"public.people": RULES, f"{OTHER}.things": {"id": "keep", "n": "keep"}})
    made.options["public.people"] = {"comments": True}
    made.prepare()
    night(made)
    return made


def test_indexes_over_what_arrives_are_made_as_production_has_them(people: Pipeline) -> None:
    here, there = (
        indexes(people.production, "people"),
        indexes(people.warehouse, "staging.people"),
    )
    assert there == {name: body for name, body in here.items() if name in CARRIED}
    assert people.warehouse.rows("select 1 from pg_index i join pg_class c on c.oid = i.indrelid "
        "where c.relname = 'people' and i.indisunique and not i.indisprimary") == []  # fmt: skip


def test_a_name_that_is_taken_in_staging_gets_a_mark(people: Pipeline) -> None:
    found = indexes(people.warehouse, "staging.things")
    assert sorted(found.values()) == ["btree (n DESC)", "btree (n)"]
    assert all(name.startswith(("people~", "people_mail~")) for name in found)


def test_no_comment_comes_along_unless_somebody_read_it(people: Pipeline) -> None:
    people.options.clear()
    night(people)
    about = "Masked current state of public.people. analytics-replica writes it; changes are lost."
    found = comments(people.warehouse, "staging.people")
    assert found.pop(None) == about
    assert not any(found.values())


def test_comments_come_behind_our_own_words_and_without_personal_data(people: Pipeline) -> None:
    found = comments(people.warehouse, "staging.people")
    about = "Masked current state of public.people. analytics-replica writes it; changes are lost."
    assert found[None] == f"{about} Ask [email] or [phone] about it"
    assert found["mail"] == "as in 'CRM'; IBAN [iban]"
    assert found["born"] == 'Birthday \\ "quoted"'
    assert found["city"] is None


def test_no_byte_of_a_planted_word_leaves_production(people: Pipeline) -> None:
    landing = Path(people.settings.landing_url.removeprefix("file://"))
    assert files_with("Birthday", landing) != []  # the search finds what is there
    assert rows_with("Birthday", people.warehouse) != []
    for planted in PLANTED:
        assert files_with(planted, landing) == [], planted
        assert rows_with(planted, people.warehouse) == [], planted


def test_comments_and_indexes_follow_production_without_any_row(people: Pipeline) -> None:
    people.warehouse.execute("create index mine on staging.people (id, born)")
    people.production.execute(
        "comment on table people is null; comment on column people.mail is 'new: x@example.com'; "
        "comment on column people.born is null; comment on column people.city is 'a town'; "
        "drop index people_hash; drop index people_mail; create index people_mail on people (city)"
    )
    night(people)
    found = comments(people.warehouse, "staging.people")
    assert (found[None] or "").endswith("changes are lost.")
    assert (found["mail"], found["born"], found["city"]) == ("new: [email]", None, "a town")
    there = indexes(people.warehouse, "staging.people")
    assert there["people_mail"] == "btree (city)"
    assert "people_hash" not in there
    assert "mine" in there  # somebody else's is never touched


def test_an_apply_passes_through_states_that_a_unique_index_would_refuse(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(
        "create table t (id int primary key, place int unique deferrable initially deferred); "
        "create table u (id int primary key, place int); create unique index on u (place); "
        "insert into t values (1, 1), (2, 2); insert into u values (1, 1), (2, 2)"
    )
    made = pipeline({f"public.{n}": {"id": "keep", "place": "keep"} for n in "tu"})
    made.prepare()
    night(made)
    production.execute("update t set place = 3 - place")
    production.execute(
        "update u set place = 9 where id = 1; update u set place = 1 where id = 2; "
        "update u set place = 2 where id = 1"
    )
    night(made)
    for name in "tu":
        rows = made.warehouse.rows(f"select id, place from staging.{name} order by id")
        assert rows == [(1, 2), (2, 1)]
