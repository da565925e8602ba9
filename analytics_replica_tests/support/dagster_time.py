"""Frozen time in Dagster, and freshness without a daemon.

Here: every private name of Dagster that the tests use, so that an upgrade breaks one file. Not
here: our own clock, which is an argument (domain.clock).
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from datetime import datetime

import dagster as dg
from dagster._core.definitions.freshness_evaluator import FRESHNESS_EVALUATORS_BY_POLICY_TYPE
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time


def dagster_at(moment: datetime) -> AbstractContextManager[object]:
    """Dagster believes that it is this moment: runs, materializations, crons."""
    return freeze_time(moment)


def freshness(
    definitions: dg.Definitions, instance: dg.DagsterInstance, key: dg.AssetKey, at: datetime
) -> str:
    """What Dagster's daemon would say of the asset at this moment: PASS, WARN, FAIL or UNKNOWN."""
    node = definitions.resolve_asset_graph().get(key)
    policy = node.freshness_policy
    assert policy is not None, key
    evaluator = FRESHNESS_EVALUATORS_BY_POLICY_TYPE[type(policy)]()
    with freeze_time(at):
        state = asyncio.run(evaluator.evaluate_freshness(LoadingContextForTest(instance), node))
    return str(state.value)
