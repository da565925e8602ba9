"""Verdicts as Dagster shows them.

Here: one judgement as one check result. Not here: how it was made. CANNOT_TELL is a failed check,
so that nobody takes not knowing for health; how much it hurts is each check's own severity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import dagster as dg

from analytics_replica.domain.verdicts import Outcome, Verdict

SHOWN_FINDINGS: Final = 50
ERROR: Final = dg.AssetCheckSeverity.ERROR
WARN: Final = dg.AssetCheckSeverity.WARN


@dataclass(frozen=True, slots=True)
class Check:
    """What a check promises, whether a failure stops what follows, and how much doubt hurts."""

    promises: str
    blocking: bool = False
    doubt: dg.AssetCheckSeverity = ERROR

    def spec(self, name: str, asset: dg.AssetKey) -> dg.AssetCheckSpec:
        """The check on this asset."""
        return dg.AssetCheckSpec(
            name, asset=asset, blocking=self.blocking, description=self.promises
        )

    def result(self, verdict: Verdict, key: dg.AssetCheckKey) -> dg.AssetCheckResult:
        """The verdict as this check's result."""
        findings = [
            dg.TableRecord({"where": finding.subject, "finding": finding.says})
            for finding in verdict.findings[:SHOWN_FINDINGS]
        ]
        return dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=verdict.passed,
            severity=self.doubt if verdict.outcome is Outcome.CANNOT_TELL else ERROR,
            description=verdict.summary(),
            metadata={
                "outcome": verdict.outcome.value,
                **dict(verdict.figures),
                **({"findings": _table(findings)} if findings else {}),
            },
        )


def _table(records: list[dg.TableRecord]) -> dg.TableMetadataValue:
    columns = [dg.TableColumn("where", "string"), dg.TableColumn("finding", "string")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))
