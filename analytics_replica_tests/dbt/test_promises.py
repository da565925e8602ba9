"""What every model promises, read from dbt's manifest: prose is tested like code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_replica_tests.dbt.project import PROJECT, ROOT, manifest_of, run_dbt

Node = dict[str, Any]

NAMES = {
    "base": r"models/base/(?P<folder>\w+)/base_(?P=folder)__\w+\.sql",
    "intermediate": r"models/intermediate/(?P<folder>\w+)/int_(?P=folder)__\w+\.sql",
    "gold": r"models/gold/(?P<folder>\w+)/(dim|fct|rpt)_\w+\.sql",
}


@pytest.fixture(scope="module", name="manifest")
def parsed_manifest(tmp_path_factory: pytest.TempPathFactory) -> Node:
    target = tmp_path_factory.mktemp("dbt")
    assert run_dbt(target, "parse") == []
    return manifest_of(target)


def models(manifest: Node, layer: str = "") -> list[Node]:
    """The models of one layer, or all, by name."""
    found = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
    assert found
    return sorted(
        (n for n in found if layer in ("", n["fqn"][1])), key=lambda node: str(node["name"])
    )


def blocking_tests_of(manifest: Node, model: Node) -> list[Node]:
    """The tests in the model's YAML that keep a bad edition from its readers."""
    tests = [n for n in manifest["nodes"].values() if n.get("attached_node") == model["unique_id"]]
    return [test for test in tests if test["config"]["severity"].lower() == "error"]


def test_the_gold_that_the_shop_was_promised_is_there(manifest: Node) -> None:
    assert [m["name"] for m in models(manifest, "gold")] == [
        "dim_customer",
        "dim_product",
        "fct_order",
        "fct_order_line",
        "fct_payment",
        "rpt_daily_revenue",
    ]


def test_every_model_says_its_grain(manifest: Node) -> None:
    silent = [m["name"] for m in models(manifest) if not m["description"].startswith("One row per")]
    assert silent == []


def test_every_gold_model_has_an_owner_who_can_be_reached(manifest: Node) -> None:
    owners = {g["name"]: g["owner"] for g in manifest["groups"].values()}
    for model in models(manifest, "gold"):
        owner = owners[model["config"]["group"]]
        assert owner["name"] == model["config"]["meta"]["owner"], model["name"]
        assert "@" in owner["email"], model["name"]


def test_every_gold_model_has_a_deadline(manifest: Node) -> None:
    for model in models(manifest, "gold"):
        deadline = str(model["config"]["meta"]["deadline"])
        assert re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", deadline), model["name"]


def test_every_gold_model_is_a_table_with_an_enforced_contract(manifest: Node) -> None:
    for model in models(manifest, "gold"):
        assert model["config"]["contract"]["enforced"] is True, model["name"]
        assert model["config"]["materialized"] == "table", model["name"]


def test_every_gold_column_has_a_type_and_a_meaning(manifest: Node) -> None:
    bare = [
        f"{model['name']}.{column['name']}"
        for model in models(manifest, "gold")
        for column in model["columns"].values()
        if not column["data_type"] or not column["description"].strip()
    ]
    assert bare == []
    assert all(model["columns"] for model in models(manifest, "gold"))


def test_every_gold_model_has_a_key_that_is_unique_and_never_null(manifest: Node) -> None:
    for model in models(manifest, "gold"):
        kinds: dict[str, list[Any]] = {"unique": [], "not_null": [], "unique_combination": []}
        for test in blocking_tests_of(manifest, model):
            kinds.setdefault(test["test_metadata"]["name"], []).append(
                test["test_metadata"]["kwargs"].get("columns", test["column_name"])
            )
        single = set(kinds["unique"]) & set(kinds["not_null"])
        combined = [
            key for key in kinds["unique_combination"] if set(key) <= set(kinds["not_null"])
        ]
        assert single or combined, model["name"]


def test_every_base_model_is_a_view_over_exactly_one_source(manifest: Node) -> None:
    for model in models(manifest, "base"):
        assert model["config"]["materialized"] == "view", model["name"]
        assert len(model["depends_on"]["nodes"]) == 1, model["name"]
        assert model["depends_on"]["nodes"][0].startswith("source."), model["name"]


def test_only_base_reads_sources_and_each_staging_table_has_one_base_model(manifest: Node) -> None:
    readers: dict[str, list[str]] = {key: [] for key in manifest["sources"]}
    for model in models(manifest):
        for parent in model["depends_on"]["nodes"]:
            if parent in readers:
                readers[parent].append(model["fqn"][1])
    assert {key: layers for key, layers in readers.items() if layers != ["base"]} == {}


def test_the_sources_are_the_tables_of_replica_yaml(manifest: Node) -> None:
    tables = yaml.safe_load((ROOT / "replica.yaml").read_text(encoding="utf-8"))["tables"]
    staged = {rules.get("alias") or name.split(".")[1] for name, rules in tables.items()}
    sources = manifest["sources"].values()
    assert {s["name"] for s in sources} == staged
    assert {s["source_name"] for s in sources} == {"staging"}


def test_gold_is_never_read_by_the_layers_below_it(manifest: Node) -> None:
    allowed = {"base": "", "intermediate": "base intermediate", "gold": "base intermediate gold"}
    for model in models(manifest):
        for parent in model["depends_on"]["nodes"]:
            if parent in manifest["nodes"]:
                layer = manifest["nodes"][parent]["fqn"][1]
                assert layer in allowed[model["fqn"][1]].split(), (model["name"], parent)


def test_no_model_names_a_relation_without_ref_or_source(manifest: Node) -> None:
    raw = {model["name"]: sorted(_raw_relations(model["raw_code"])) for model in models(manifest)}
    assert {name: relations for name, relations in raw.items() if relations} == {}


def test_a_relation_that_is_named_without_ref_would_be_found() -> None:
    sql = "with a as (select 1), b (x) as (select 2) select * from a join staging.orders on true"
    assert _raw_relations(sql + " join {{ ref('x') }} on true join b on true") == {"staging.orders"}


def _raw_relations(sql: str) -> set[str]:
    sql = re.sub(r"\{#.*?#\}|\{%.*?%\}|--[^\n]*", " ", sql, flags=re.DOTALL)
    sql = re.sub(r"\{\{\s*(?:ref|source)\(.*?\}\}", "<known>", sql, flags=re.DOTALL)
    sql = re.sub(r"\{\{.*?\}\}", "<macro>", sql, flags=re.DOTALL)
    named = set(re.findall(r"(\w+)\s*(?:\([\w\s,]*\)\s*)?as\s*\(", sql))
    read = set(re.findall(r"\b(?:from|join)\s+([^\s(),]+)", sql))
    return read - named - {"<known>"}


def test_every_file_is_named_after_its_layer_and_folder(manifest: Node) -> None:
    for model in models(manifest):
        path = model["original_file_path"]
        assert re.fullmatch(NAMES[model["fqn"][1]], path), path


def test_every_model_is_described_in_its_own_folder(manifest: Node) -> None:
    for model in models(manifest):
        folder = Path(model["original_file_path"]).parent
        described_in = str(model["patch_path"]).split("://")[1]
        assert described_in == str(folder / f"_{folder.name}__models.yml"), model["name"]


def test_every_data_test_shows_on_the_model_that_it_judges(manifest: Node) -> None:
    # dagster-dbt shows a test of several models only if it says which of them it is about.
    for test in manifest["nodes"].values():
        if test["resource_type"] == "test" and not test.get("attached_node"):
            about = test["config"]["meta"].get("dagster", {}).get("ref", {}).get("name")
            names = {parent.split(".")[-1] for parent in test["depends_on"]["nodes"]}
            assert about in names or len(names) == 1, test["name"]


def test_every_singular_test_is_named_as_a_sentence_and_says_why() -> None:
    for path in PROJECT.glob("tests/gold/*.sql"):
        assert path.stem.count("_") >= 3, path.name
        assert "'description':" in path.read_text(encoding="utf-8"), path.name


def test_layers_name_their_dagster_group(manifest: Node) -> None:
    expected = {"base": "gold_build", "intermediate": "gold_build", "gold": "gold"}
    for model in models(manifest):
        assert model["config"]["meta"]["dagster"]["group"] == expected[model["fqn"][1]]


def test_whatever_a_layer_is_called_it_lands_in_the_edition(manifest: Node) -> None:
    assert {model["schema"] for model in models(manifest)} == {"gold_a"}
