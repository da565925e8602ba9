"""What capture lands, judged by DuckDB reading the files through the manifests."""

from __future__ import annotations

from collections.abc import Callable

import psycopg2
import pytest

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import PolicyViolation, PositionMismatch, SourceNotPrepared
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.masking.strategies.hmac_tokens import token_of
from analytics_replica_tests.support.pipeline import KEY, Pipeline
from analytics_replica_tests.support.servers import Database

PEOPLE = {"public.people": {"id": "keep", "email": {"mask": "token", "domain": "e"}}}
EVENTS = "_replica_op, id, email"


def token(value: str) -> str:
    return token_of(value, "e", bytes.fromhex(KEY))


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create table people (id int primary key, email text)")
    production.execute("insert into people values (1, 'a@x'), (2, null), (3, '')")
    made = pipeline(PEOPLE)
    made.prepare()
    return made


def test_the_first_copy_lands_every_row_masked_and_null_and_empty_stay_apart(
    people: Pipeline,
) -> None:
    report = people.capture()
    assert report.first_copy
    assert people.landed("public.people", EVENTS) == [
        ("i", 1, token("a@x")),
        ("i", 2, None),
        ("i", 3, ""),
    ]


def test_changes_after_the_first_copy_arrive_in_commit_order(people: Pipeline) -> None:
    people.capture()
    people.production.execute("insert into people values (4, 'd@x'), (5, 'e@x')")
    people.production.execute("update people set email = 'new@x' where id = 1")
    people.production.execute("delete from people where id = 4")
    report = people.capture()
    assert not report.first_copy
    assert people.landed("public.people", EVENTS)[3:] == [
        ("i", 4, token("d@x")),
        ("i", 5, token("e@x")),
        ("u", 1, token("new@x")),
        ("d", 4, None),
    ]


def test_a_changed_key_is_a_delete_and_a_move_with_consecutive_ordinals(people: Pipeline) -> None:
    people.capture()
    people.production.execute("update people set id = 9 where id = 1")
    people.capture()
    (delete, move) = people.landed(
        "public.people", "_replica_op, id, email, _replica_lsn, _replica_ordinal"
    )[3:]
    assert (delete[:3], move[:3]) == (("d", 1, None), ("m", 9, token("a@x")))
    assert (delete[3], delete[4] + 1) == (move[3], move[4])


def test_a_delete_keeps_nothing_but_the_key_though_the_log_has_the_whole_row(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create table people (id int primary key, email text)")
    production.execute("alter table people replica identity full")
    made = pipeline(PEOPLE)
    made.prepare()
    made.capture()
    production.execute("insert into people values (1, 'a@x')")
    production.execute("delete from people")
    made.capture()
    assert made.landed("public.people", EVENTS) == [("i", 1, token("a@x")), ("d", 1, None)]


def test_a_truncate_is_an_event_of_its_own(people: Pipeline) -> None:
    people.capture()
    people.production.execute("truncate people; insert into people values (1, 'z@x')")
    people.capture()
    assert people.landed("public.people", EVENTS)[3:] == [
        ("t", None, None),
        ("i", 1, token("z@x")),
    ]


def test_an_unchanged_large_value_is_marked_and_never_invented(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create table docs (id int primary key, n int, body text)")
    production.execute("alter table docs alter body set storage external")
    production.execute("insert into docs values (1, 1, repeat('x', 9000))")
    made = pipeline({"public.docs": {"id": "keep", "n": "keep", "body": "keep"}})
    made.prepare()
    made.capture()
    production.execute("update docs set n = 2")
    production.execute("update docs set body = null")
    made.capture()
    assert made.landed(
        "public.docs", '_replica_op, n, length(body), "_replica_unchanged.body"'
    ) == [("i", 1, 9000, False), ("u", 2, None, True), ("u", 2, None, False)]


def test_values_that_arrow_cannot_hold_are_kept_exactly_beside(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(
        "create table odd (id int primary key, n numeric(10,2), d date, ts timestamptz, t time)"
    )
    production.execute(
        "insert into odd values (1, 'NaN', 'infinity', '0044-03-15 12:00+00 BC', '24:00')"
    )
    made = pipeline({"public.odd": dict.fromkeys(("id", "n", "d", "ts", "t"), "keep")})
    made.prepare()
    made.capture()
    production.execute("insert into odd select 2, n, d, ts, t from odd")
    made.capture()
    columns = ", ".join(f'"_replica_exact.{c}"' for c in ("n", "d", "ts", "t"))
    (first, second) = made.landed("public.odd", columns)
    assert first == second == ("NaN", "infinity", "0044-03-15 12:00:00+00 BC", "24:00:00")


def test_silence_is_landed_as_a_batch_and_releases_the_log(people: Pipeline) -> None:
    people.capture()
    people.production.execute("create table elsewhere as select generate_series(1, 1000)")
    report = people.capture()
    assert [m.rows for m in report.manifests] == [0]
    confirmed = people.production.scalar(
        "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = %s",
        (people.slot,),
    )
    assert Lsn.parse(confirmed) == report.position


def test_batches_follow_each_other_without_a_gap(people: Pipeline) -> None:
    for number in range(10, 13):
        people.production.execute("insert into people values (%s, 'x')", (number,))
        people.capture()
    assert check_contiguity(people.store).passed


def test_a_batch_ends_at_a_commit_and_many_batches_hold_the_same_events(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute("create table t (id int primary key)")
    made = pipeline({"public.t": {"id": "keep"}}, **{"landing.batch_rows": 5})
    made.prepare()
    made.capture()
    for start in range(0, 24, 4):
        production.execute("insert into t select generate_series(%s, %s)", (start, start + 3))
    report = made.capture()
    assert [m.transactions for m in report.manifests if m.rows] == [2, 2, 2]
    assert [row[0] for row in made.landed("public.t", "id")] == list(range(24))


def test_our_role_may_not_read_a_single_table(people: Pipeline) -> None:
    people.capture()
    with (
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
        people.production.session("analytics_replica") as cursor,
    ):
        cursor.execute("select * from people")


def test_a_column_that_nobody_classified_stops_the_first_copy(people: Pipeline) -> None:
    people.production.execute("alter table people add secret text")
    with pytest.raises(PolicyViolation, match=r"Nobody classified public\.people\.secret"):
        people.capture()
    assert people.landed("public.people") == []


def test_a_new_column_of_production_lands_sealed(people: Pipeline) -> None:
    people.capture()
    people.production.execute("alter publication analytics_replica set table people")
    people.production.execute("alter table people add secret text")
    people.production.execute("insert into people values (7, 'g@x', 'hidden')")
    people.capture()
    assert people.landed("public.people", "id, secret")[-1] == (7, None)


def test_a_slot_that_was_moved_on_stops_capture_and_names_the_gap(people: Pipeline) -> None:
    people.capture()
    people.production.execute("insert into people values (8, 'lost@x')")
    people.production.execute(
        f"select pg_replication_slot_advance('{people.slot}', pg_current_wal_lsn())"
    )
    with pytest.raises(PositionMismatch, match="bytes of log were released"):
        people.capture()


def test_a_missing_publication_is_named_although_the_server_only_warns(people: Pipeline) -> None:
    people.capture()
    people.production.execute("drop publication analytics_replica")
    with pytest.raises(SourceNotPrepared, match="publication analytics_replica does not exist"):
        people.capture()


def test_a_publication_made_anew_stops_capture(people: Pipeline) -> None:
    people.capture()
    people.production.execute("drop publication analytics_replica")
    people.production.execute("insert into people values (8, 'lost@x')")
    people.prepare()
    with pytest.raises(PositionMismatch, match="made anew"):
        people.capture()
