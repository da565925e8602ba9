"""Every column of gold is followed to staging, or said to be unread."""

from __future__ import annotations

from typing import Any

from analytics_replica.masking.proof.models import ColumnOrigin, Origin, lineage_faults
from analytics_replica.orchestration.gold_lineage import GoldLineage

TOKEN = 'token {"domain":"d","key":"k1"}'
PEOPLE = {
    name: Origin(f"staging.people.{name}", said)
    for name, said in {
        "id": "keep",
        "email": TOKEN,
        "odd": "sealed: its type changed",
        "new": "sealed",
        "lost": None,
    }.items()
}


def node(name: str, sql: str | None, *parents: str, **more: Any) -> dict[str, Any]:
    return {
        "unique_id": name,
        "resource_type": "model",
        "alias": name,
        "schema": "gold_a",
        "columns": {},
        "config": {"materialized": "table"},
        "depends_on": {"nodes": list(parents)},
        "sql": sql,
        **more,
    }


def source(name: str, schema: str = "staging") -> dict[str, Any]:
    return {"unique_id": name, "resource_type": "source", "schema": schema, "identifier": name}


def faults(*nodes: dict[str, Any], model: str = "m") -> list[str]:
    lineage = of(*nodes)
    made = lineage.of(model)
    wanted = lineage.manifest["nodes"][model]["columns"]
    return [str(f) for f in lineage_faults(model, {n: made.get(n) for n in [*made, *wanted]})]


def of(*nodes: dict[str, Any]) -> GoldLineage:
    manifest = {
        "sources": {"people": source("people"), "rates": source("rates", "finance")},
        "nodes": {n["unique_id"]: n for n in nodes},
    }
    return GoldLineage(manifest, "gold_b", "staging", {"people": PEOPLE}, lambda n: n["sql"])


def test_masked_and_kept_columns_are_followed_through_models() -> None:
    base = node("b", 'select * from "w"."staging"."people"', "people")
    gold = node(
        "m", "select id, max(email) as who, email || 'x' as made from gold_b.b group by 1, 3", "b"
    )
    made = of(base, gold).of("m")
    assert made["id"] == ColumnOrigin(frozenset({PEOPLE["id"]}), unchanged=True)
    assert made["who"] == ColumnOrigin(frozenset({PEOPLE["email"]}), unchanged=True)
    assert made["made"] == ColumnOrigin(frozenset({PEOPLE["email"]}), unchanged=False)
    assert faults(base, gold) == []


def test_a_relation_that_no_policy_covers_is_named() -> None:
    found = faults(node("m", "select x, s.secret from raw.people s join raw.other o on true"))
    assert found == [
        "m.x: is made of x, of which the policy says nothing",
        "m.secret: is made of raw.people, of which the policy says nothing",
    ]


def test_a_source_that_is_not_staging_is_named() -> None:
    found = faults(node("m", "select rate from finance.rates", "rates"))
    assert found == ["m.rate: is made of finance.rates.rate, of which the policy says nothing"]


def test_what_nobody_classified_is_named_also_behind_a_computation() -> None:
    base = node("b", "select * from staging.people", "people")
    sql = "select odd, upper(new) as loud, lost, coalesce(email, new) as who, id from gold_b.b"
    assert faults(base, node("m", sql, "b")) == [
        "m.odd: is made of staging.people.odd, which nobody classified",
        "m.loud: is made of staging.people.new, which nobody classified",
        "m.lost: is made of staging.people.lost, which nobody classified",
        "m.who: is made of staging.people.new, which nobody classified",
    ]


def test_a_column_of_staging_that_the_policy_does_not_know_is_named() -> None:
    found = faults(node("m", "select phone from staging.people", "people"))
    assert found == ["m.phone: is made of staging.people.phone, of which the policy says nothing"]
    sql = "select p.phone from staging.people p"
    found = faults(node("m", sql, "people", columns={"phone": {}}))
    assert found == ["m.phone: its lineage cannot be read from the model's SQL"]


def test_sql_beyond_the_parser_has_no_lineage() -> None:
    found = faults(node("m", "this is no sql (", columns={"a": {}}))
    assert found == ["m.a: its lineage cannot be read from the model's SQL"]
    assert faults(node("m", None, columns={"a": {}})) == found


def test_whole_rows_and_functions_that_read_are_named() -> None:
    sql = """
        select row_to_json(p) as j, query_to_xml('select 1', true, true, '')::text as x, f.a
        from staging.people p cross join my_function() as f(a)
    """
    assert faults(node("m", sql, "people")) == [
        "m.j: is made of j, of which the policy says nothing",
        "m.x: is made of query_to_xml(), of which the policy says nothing",
        "m.a: is made of my_function(), of which the policy says nothing",
    ]


def test_constants_counts_seeds_and_generated_days_are_ours() -> None:
    seed = node("s", None, resource_type="seed", columns={"code": {}})
    sql = """
        select day::date as day, s.code, 'x' as kind, count(*) as n, now() as built,
               row_number() over () as number
        from generate_series(date '2020-01-01', date '2030-01-01', interval '1 day') as day
        cross join gold_b.s group by 1, 2
    """
    assert faults(seed, node("m", sql, "s")) == []


def test_ephemeral_and_incremental_models_and_snapshots_are_followed() -> None:
    inner = node("e", "select id from staging.people", "people")
    inner["config"] = {"materialized": "ephemeral"}
    sql = """
        with __dbt__cte__e as (select id, email from staging.people)
        select id, email from __dbt__cte__e where id > (select max(id) from gold_b.m)
        union all select id, email from gold_b.m
    """
    gold = node("m", sql, "e", columns={"id": {}, "email": {}})
    assert faults(inner, gold) == []
    assert of(inner, gold).of("m")["email"].origins == {PEOPLE["email"]}
    kept = node("m", "select id from staging.people", "people", resource_type="snapshot")
    assert faults(kept) == []
    assert "dbt_valid_to" in of(kept).of("m")


def test_lateral_subqueries_and_recursion_are_followed() -> None:
    sql = """
        with recursive walk(id, email) as (
            select id, email from staging.people union select id, email from walk
        )
        select walk.id, last.email from walk
        left join lateral (select max(email) as email from staging.people i
                           where i.id = walk.id) as last on true
    """
    assert faults(node("m", sql, "people")) == []


def test_what_is_unread_stays_so_behind_another_model() -> None:
    inner = node("b", "select s.secret from raw.people s")
    found = faults(inner, node("m", "select b.secret from gold_b.b as b", "b"))
    assert found == ["m.secret: is made of raw.people, of which the policy says nothing"]
