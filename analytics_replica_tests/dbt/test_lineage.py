"""Every column of gold has a masked or kept lineage: asked in CI, without a warehouse."""

from __future__ import annotations

import pytest

from analytics_replica.masking.proof.models import ColumnOrigin, lineage_faults
from analytics_replica.orchestration.gold_lineage import (
    GoldLineage,
    compiled_in,
    staging_of_policy,
)
from analytics_replica.settings.load import load_settings
from analytics_replica_tests.dbt.project import ROOT, manifest_of, run_dbt


@pytest.fixture(scope="module", name="lineage")
def compiled_lineage(tmp_path_factory: pytest.TempPathFactory) -> GoldLineage:
    """Of dbt_project, compiled without any connection."""
    target = tmp_path_factory.mktemp("dbt")
    assert run_dbt(target, "compile", "--no-introspect", "--no-populate-cache") == []
    staging = staging_of_policy(load_settings(ROOT / "replica.yaml", {}))
    return GoldLineage(manifest_of(target), "gold_a", "staging", staging, compiled_in(target))


def gold(lineage: GoldLineage) -> dict[str, dict[str, ColumnOrigin | None]]:
    """Model → each column of its contract → what it is made of."""
    nodes = lineage.manifest["nodes"]
    return {
        node["name"]: {column: lineage.of(key).get(column) for column in node["columns"]}
        for key, node in nodes.items()
        if node["resource_type"] == "model" and node["fqn"][1] == "gold"
    }


def test_every_gold_column_is_made_of_masked_or_kept_columns(lineage: GoldLineage) -> None:
    models = gold(lineage)
    assert len(models) == 6
    found = [str(f) for model, columns in models.items() for f in lineage_faults(model, columns)]
    assert found == []


def test_masked_columns_are_followed_to_where_they_were_masked(lineage: GoldLineage) -> None:
    who = gold(lineage)["dim_customer"]["email_masked"]
    assert who is not None
    assert {o.column for o in who.origins} == {
        "staging.customers.email",
        "staging.legacy_users.email",
    }
    assert who.unchanged
    assert all(str(o.treatment).startswith("email ") for o in who.origins)


def test_a_column_that_the_policy_forgets_is_found_in_every_model_that_shows_it(
    lineage: GoldLineage,
) -> None:
    customers = {n: o for n, o in lineage.staging["customers"].items() if n != "email"}
    forgotten = {**lineage.staging, "customers": customers}
    without = GoldLineage(lineage.manifest, "gold_a", "staging", forgotten, lineage.compiled)
    found = {
        str(f) for model, columns in gold(without).items() for f in lineage_faults(model, columns)
    }
    assert any(fault.startswith("dim_customer.email_masked: ") for fault in found)
    assert any(fault.startswith("fct_order.is_test_order: ") for fault in found)
