"""Checks of staging: that every table is masked, follows production, and holds what landing gives.

Here: how the judgements are shown, one step for all tables. Not here: making them (masking.proof,
staging.drift, staging.reconcile, staging.reconciliation). The masking proof blocks gold. The others
do not: a table that stands still, or was emptied in production, must not keep all others from their
readers.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Final

import dagster as dg

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.proof.judgement import ABOUT
from analytics_replica.masking.proof.tables import Allowed, HeldColumn, Wanted, prove_masking
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.resources import Replica, ReplicaResource
from analytics_replica.orchestration.verdicts import WARN, Check
from analytics_replica.postgres.connect import Connection, connection
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger
from analytics_replica.staging.drift import check_drift
from analytics_replica.staging.ledger import Ledger
from analytics_replica.staging.reconcile import row_count_floor
from analytics_replica.staging.reconciliation.judgement import against_landing

CHECKS: Final[Mapping[str, Check]] = {
    "masking_proof": Check(
        "Every value of every masked column looks as its mask promises, and none of a kept one "
        "parses as a person's (scans the table).",
        blocking=True,
    ),
    "drift": Check(
        "Production, policy and staging have the same columns; the table follows production.",
        doubt=WARN,
    ),
    "row_count_floor": Check(
        "The table holds what the ledger counted, and at least half of what it held before.",
        doubt=WARN,
    ),
    "reconciled": Check(
        "Every value of the table is what landing's replay gives at the position of the ledger "
        "(scans the table once).",
        doubt=WARN,
    ),
}


def staging_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Every check of every table in one step; only the selected ones are judged."""
    tables = {keys.staging(settings, table): table for table in settings.tables}
    specs = [check.spec(name, key) for key in tables for name, check in CHECKS.items()]

    @dg.multi_asset_check(name=keys.STAGING_CHECKS_STEP, specs=specs, can_subset=True)
    def check_staging(
        context: dg.AssetCheckExecutionContext, replica: ReplicaResource
    ) -> Iterator[dg.AssetCheckResult]:
        with explained(context), connection(replica.warehouse_dsn) as opened:
            look = _Look(replica, opened)
            for key in sorted(context.selected_asset_check_keys):
                verdict = _JUDGES[key.name](look, tables[key.asset_key])
                yield CHECKS[key.name].result(verdict, key)

    return check_staging


class _Look:
    """One look at the warehouse; what all tables share is read once."""

    def __init__(self, replica: Replica, opened: Connection) -> None:
        self.settings = replica.settings
        self.opened = opened
        self._store = replica.store

    @cached_property
    def policy(self) -> Policy:
        return Policy.from_settings(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        return ledger.read(self.opened)

    @cached_property
    def drift(self) -> Mapping[TableName, Verdict]:
        return check_drift(self.opened, self.settings, self._store)


def _masking(look: _Look, table: TableName) -> Verdict:
    schema = look.settings.replica.warehouse.staging_schema
    held = TableName(schema, look.settings.staging_name(table))
    known = look.ledger.tables.get(table)
    if known is None or not known.columns:
        return Verdict.cannot_tell(ABOUT, Finding(str(held), "nothing was applied to it yet"))
    wanted = Wanted(
        {c.name: look.policy.treatment(table, c.name) for c in known.columns},
        Allowed.of(look.settings.tables[table].columns),
        frozenset(look.settings.replica.masking.keys),
    )
    columns = [HeldColumn(c.name, c.treatment, c.before) for c in known.columns]
    seed = look.ledger.last_batch
    proven = prove_masking(look.opened, held, columns, wanted, seed=seed)
    if not look.settings.tables[table].history:
        return proven
    past = TableName(look.settings.replica.warehouse.history_schema, held.name)
    return proven.joined(prove_masking(look.opened, past, columns, wanted, seed=seed), "history_")


def _drift(look: _Look, table: TableName) -> Verdict:
    return look.drift[table]


def _row_count(look: _Look, table: TableName) -> Verdict:
    return row_count_floor(look.opened, look.settings, table)


def _reconciled(look: _Look, table: TableName) -> Verdict:
    return against_landing(look.settings, table)


_JUDGES: Final[Mapping[str, Callable[[_Look, TableName], Verdict]]] = {
    "masking_proof": _masking,
    "drift": _drift,
    "row_count_floor": _row_count,
    "reconciled": _reconciled,
}
