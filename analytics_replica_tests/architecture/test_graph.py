"""The graph holds together: every key is real, every layer connected, every asset described.

Here: the shop's graph as `definitions.py` builds it, without any server. Not here: what the dbt
models promise (tests of the manifest), what happens when it runs (scenarios).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics_replica.definitions import build_definitions
from analytics_replica.orchestration import keys
from analytics_replica.settings.load import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parents[2]

NOT_OURS: set[str] = set()
"""Keys that nothing here makes. None: even production's tables begin at raw/."""


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(REPOSITORY / "replica.yaml", {})


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> Any:
    return definitions.resolve_asset_graph()


def test_the_code_location_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_no_key_is_a_phantom_that_nothing_materializes(graph: Any) -> None:
    phantoms = graph.get_all_asset_keys() - graph.materializable_asset_keys
    assert {key.to_user_string() for key in phantoms} == NOT_OURS


def test_every_check_stands_on_an_asset_that_is_materialized(graph: Any) -> None:
    assert {key.asset_key for key in graph.asset_check_keys} <= graph.materializable_asset_keys


def test_every_table_is_landed_and_staged(settings: Settings, graph: Any) -> None:
    for table in settings.tables:
        staging = graph.get(keys.staging(settings, table))
        assert staging.parent_keys == {keys.raw(settings, table)}
        assert graph.get(keys.raw(settings, table)).parent_keys == set()


def test_every_gold_model_comes_from_landed_tables(graph: Any) -> None:
    gold = in_layer(graph, keys.GOLD)
    assert gold
    for key in gold:
        assert any(parent.path[0] == keys.RAW for parent in ancestors(graph, key)), key


def test_everything_ends_in_ready(graph: Any) -> None:
    leaves = {key for key in graph.materializable_asset_keys if not graph.get(key).child_keys}
    unread = {key for key in leaves if key.path[0] in ("base", keys.STAGING)}
    assert leaves - unread == {keys.READY}
    assert set(graph.get(keys.READY).parent_keys) == in_layer(graph, keys.GOLD)


def test_every_asset_says_what_it_is_whose_it_is_and_how_fresh_it_must_be(graph: Any) -> None:
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        said = (node.group_name != "default", node.kinds, node.owners, node.description)
        assert all(said), key
        assert node.freshness_policy is not None, key
    policy = graph.get(keys.READY).freshness_policy
    assert (policy.deadline_cron, policy.timezone) == ("0 4 * * *", "Europe/Berlin")


def test_every_staging_table_is_proven_masked_before_gold_is_built(graph: Any) -> None:
    for key in in_layer(graph, keys.STAGING):
        check = graph.get(dg.AssetCheckKey(key, "masking_proof"))
        assert check.blocking, key


def test_every_gold_model_is_proven_masked_before_it_is_published(graph: Any) -> None:
    gold = in_layer(graph, keys.GOLD)
    assert len(gold) == 6
    for key in gold:
        check = graph.get(dg.AssetCheckKey(key, "masking_proof"))
        assert check.blocking, key


def test_raw_and_staging_show_their_columns_before_anything_ran(graph: Any) -> None:
    for key in in_layer(graph, keys.RAW) | in_layer(graph, keys.STAGING):
        assert "dagster/column_schema" in graph.get(key).metadata, key
    lineage = graph.get(dg.AssetKey(["staging", "customers"])).metadata["dagster/column_lineage"]
    assert "email" in lineage.deps_by_column


def test_one_step_holds_the_slot(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def(keys.NIGHTLY_JOB)
    pools = {node.name: node.definition.pools for node in job.nodes}
    assert {name for name, held in pools.items() if keys.SLOT_POOL in held} == {keys.CAPTURE_STEP}


def test_importing_the_definitions_reads_no_file_and_no_settings(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import analytics_replica.definitions"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "REPLICA_CONFIG": "there is no such file"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def in_layer(graph: Any, layer: str) -> set[dg.AssetKey]:
    return {key for key in graph.materializable_asset_keys if key.path[0] == layer}


def ancestors(graph: Any, key: dg.AssetKey) -> set[dg.AssetKey]:
    found: set[dg.AssetKey] = set()
    waiting = [key]
    while waiting:
        for parent in graph.get(waiting.pop()).parent_keys - found:
            found.add(parent)
            waiting.append(parent)
    return found
