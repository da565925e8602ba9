"""Checks of landing: what production keeps for us, and that no batch is missing.

Here: how the judgements are shown. Not here: making them (landing.retention, landing.contiguity).
Slot and log are one for all tables, so their checks stand on one asset: the first table of
replica.yaml. A gap blocks staging; a slot that keeps much does not, for draining it helps.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import dagster as dg

from analytics_replica.domain.verdicts import Verdict
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.retention import Allowance, check_slot_retention
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.resources import Replica, ReplicaResource
from analytics_replica.orchestration.verdicts import WARN, Check
from analytics_replica.settings.load import Settings

CHECKS: Final[Mapping[str, Check]] = {
    "slot_retention": Check(
        "What production keeps for our slot is far from its limit (for all tables).",
        doubt=WARN,
    ),
    "contiguity": Check(
        "Every landed batch starts where the one before ended (for all tables).", blocking=True
    ),
}


def raw_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Both checks, one step; only the selected ones are judged."""
    carrier = keys.raw(settings, next(iter(settings.tables)))
    specs = [check.spec(name, carrier) for name, check in CHECKS.items()]

    @dg.multi_asset_check(name=keys.RAW_CHECKS_STEP, specs=specs, can_subset=True)
    def check_raw(
        context: dg.AssetCheckExecutionContext, replica: ReplicaResource
    ) -> Iterator[dg.AssetCheckResult]:
        with explained(context):
            for key in sorted(context.selected_asset_check_keys):
                yield CHECKS[key.name].result(_JUDGES[key.name](replica), key)

    return check_raw


def _slot(replica: Replica) -> Verdict:
    allowed = Allowance.of(replica.settings.replica.deadlines)
    return check_slot_retention(replica.store, replica.clock.now(), allowed)


def _batches(replica: Replica) -> Verdict:
    return check_contiguity(replica.store)


_JUDGES: Final[Mapping[str, Callable[[Replica], Verdict]]] = {
    "slot_retention": _slot,
    "contiguity": _batches,
}
