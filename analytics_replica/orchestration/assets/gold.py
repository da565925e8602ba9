"""base/, intermediate/ and gold/<model>: what dbt builds into the edition that nobody reads.

Here: the assets of the dbt project and how a build runs. Not here: names in the graph
(translator.py), publishing (ready.py). A build makes the whole edition whichever models were
selected: an edition of several nights must not exist. Checks alone run on what was built last.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtProject, dbt_assets

from analytics_replica.errors import CheckFailed, ReplicaError, WarehouseError
from analytics_replica.orchestration import gate, keys
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.project import (
    build_target,
    checks_target,
    dbt_environment,
    environment,
)
from analytics_replica.orchestration.resources import (
    ChainResource,
    OfflineDbt,
    Replica,
    ReplicaResource,
)
from analytics_replica.orchestration.translator import ReplicaTranslator
from analytics_replica.postgres.connect import connect
from analytics_replica.serving.editions import (
    Edition,
    build_edition,
    ensure_serving_schema,
    published_edition,
)
from analytics_replica.staging import ledger

Event = Any
"""What dagster-dbt yields: outputs, check results, observations."""

BUILD: Final = ("build", "--exclude-resource-type", "unit_test")
"""Unit tests judge code, not tonight's data: they run in CI (facts, 2026-11)."""
