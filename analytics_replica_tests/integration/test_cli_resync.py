"""`analytics-replica resync` as a person runs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create table people (id int primary key)")
    production.execute("insert into people select generate_series(1, 10)")
    made = pipeline({"public.people": {"id": "keep"}})
    made.prepare()
    return made


def test_a_table_is_copied_again_and_the_report_is_json_alone(people: Pipeline) -> None:
    people.capture()
    ended = call_on(people, "resync", "public.people", "--json")
    assert ended.code == 0
    assert ended.json["rows"] == {"public.people": 10}
    assert ended.json["landed_by_other"] is False
    assert len(people.landed("public.people")) == 20


def test_the_report_for_people_names_rows_position_and_batch(people: Pipeline) -> None:
    people.capture()
    ended = call_on(people, "resync", "public.people")
    assert ended.code == 0
    assert "10 rows as they were at " in ended.out
    assert "The next apply brings them in." in ended.out
    assert "copy, pages" in ended.err


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        ("public.others", 40, "public.others is not in replica.yaml"),
        ("people", 2, "is not written as schema.name"),
        ("public.people", 36, "landing is empty"),
    ],
)
def test_what_cannot_be_copied_again_ends_with_a_reason_and_its_code(
    people: Pipeline, table: str, code: int, said: str
) -> None:
    if code != 36:
        people.capture()
    ended = call_on(people, "resync", table)
    assert ended.code == code
    assert said in " ".join(ended.err.split())
