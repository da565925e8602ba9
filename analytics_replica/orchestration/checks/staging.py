"""Checks of staging: that every table is masked, follows production, and did not lose its rows.

Here: how the judgements are shown, one step for all tables. Not here: making them (masking.proof,
staging.drift, staging.reconcile). The masking proof blocks gold; whether a table that stands still
blocks it is the drift's severity.
"""

# Without `from __future__ import annotations`: Dagster reads the annotations of what it decorates.

from collections.abc import Iterator, Mapping
from typing import Final

import dagster as dg

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.tables import Column, TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.proof import ABOUT, prove_masking
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.failures import explained
from analytics_replica.orchestration.resources import ReplicaResource
from analytics_replica.orchestration.verdicts import as_check_result
from analytics_replica.postgres.connect import Connection, connection
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger

MASKING_PROOF: Final = "masking_proof"
STEP: Final = "staging_checks"

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    MASKING_PROOF: "Every value of every masked column looks as its mask promises (full scan).",
}
_BLOCKING: Final = frozenset({MASKING_PROOF})


def staging_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Every check of every table in one step; only the selected ones are judged."""
    tables = {keys.staging(settings, table): table for table in settings.tables}
    specs = [
        dg.AssetCheckSpec(name, asset=key, blocking=name in _BLOCKING, description=description)
        for key in tables
        for name, description in _DESCRIPTIONS.items()
    ]

    @dg.multi_asset_check(name=STEP, specs=specs, can_subset=True)
    def check_staging(
        context: dg.AssetCheckExecutionContext, replica: ReplicaResource
    ) -> Iterator[dg.AssetCheckResult]:
        with explained(context), connection(replica.warehouse_dsn) as opened:
            for key in sorted(context.selected_asset_check_keys):
                table = tables[key.asset_key]
                yield as_check_result(_masking(opened, replica.settings, table), key)

    return check_staging


def _masking(opened: Connection, settings: Settings, table: TableName) -> Verdict:
    held = TableName(settings.replica.warehouse.staging_schema, settings.staging_name(table))
    known = ledger.read(opened).tables.get(table)
    if known is None or not known.columns:
        return Verdict.cannot_tell(ABOUT, Finding(str(held), "nothing was applied to it yet"))
    columns = [
        LandedColumn(Column(c.name, 0, -1, c.staging_type), c.treatment, c.staging_type)
        for c in known.columns
    ]
    return prove_masking(opened, held, columns, Policy.from_settings(settings).tables[table])
