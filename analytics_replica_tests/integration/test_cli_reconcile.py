"""`analytics-replica reconcile` as a person runs it, and the same judgement as an asset check."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.checks.staging import staging_checks
from analytics_replica.orchestration.resources import Replica
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute("create table people (id int primary key, city text)")
    production.execute("insert into people select n, 'c' || n from generate_series(1, 10) n")
    production.execute("create table other (id int primary key)")
    kept = {"id": "keep", "city": "keep"}
    made = pipeline({"public.people": kept, "public.other": {"id": "keep"}})
    made.prepare()
    made.capture()
    apply_pending(made.settings, SystemClock())
    return made


def test_equal_tables_end_with_0_and_a_changed_cell_with_72_and_its_name(people: Pipeline) -> None:
    ended = call_on(people, "reconcile")
    assert (ended.code, ended.out.count("  ok  ")) == (0, 2)
    assert "rows: 10" in ended.err
    people.warehouse.execute("update staging.people set city = 'x' where id = 7")
    ended = call_on(people, "reconcile", "--table", "public.people", "--json")
    assert ended.code == 72
    (table,) = ended.json["tables"]
    assert ended.json["passed"] is False
    assert [finding["subject"] for finding in table["findings"]] == [
        "staging.people.city",
        "staging.people id=7",
    ]
    assert table["figures"]["differing_columns"] == "city"
    assert call_on(people, "reconcile", "--table", "public.other").code == 0


def test_not_knowing_ends_with_72_too(people: Pipeline) -> None:
    people.warehouse.execute("delete from ops.applied_tables")
    ended = call_on(people, "reconcile", "--table", "public.people", "--json")
    assert (ended.code, ended.json["tables"][0]["outcome"]) == (72, "CANNOT_TELL")


@pytest.mark.parametrize(
    ("table", "said"),
    [("public.nobody", "is not in replica.yaml"), ("people", "is not written as schema.name")],
)
def test_a_table_that_is_not_ours_is_a_wrong_command_line(
    people: Pipeline, table: str, said: str
) -> None:
    ended = call_on(people, "reconcile", "--table", table)
    assert ended.code == 2
    assert said in ended.err


def test_the_check_is_red_with_position_columns_and_keys(people: Pipeline) -> None:
    people.warehouse.execute("update staging.people set city = 'x' where id = 7")
    settings = people.settings
    checks = dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())
    definitions = dg.Definitions(
        asset_checks=[staging_checks(settings)],
        jobs=[checks],
        resources={"replica": Replica(settings, SystemClock())},
        executor=dg.in_process_executor,
    )
    result = definitions.resolve_job_def("checks").execute_in_process(raise_on_error=False)
    judged = {
        e.asset_key: e for e in result.get_asset_check_evaluations() if e.check_name == "reconciled"
    }
    assert {key: e.passed for key, e in judged.items()} == {
        keys.staging(settings, table): table.name == "other" for table in settings.tables
    }
    (red,) = [e for e in judged.values() if not e.passed]
    assert red.severity is dg.AssetCheckSeverity.ERROR
    assert red.metadata["differing_columns"].value == "city"
    assert "staging.people id=7" in str(red.metadata["findings"].value)
    assert "/" in str(red.metadata["lsn"].value)
