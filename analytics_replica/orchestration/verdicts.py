"""Verdicts as Dagster shows them.

Here: one judgement as one check result. Not here: how it was made. CANNOT_TELL is a failed check,
so that nobody takes not knowing for health; how much it hurts is the check's severity.
"""

from __future__ import annotations

import dagster as dg

from analytics_replica.domain.verdicts import Verdict

SHOWN_FINDINGS = 50


def as_check_result(
    verdict: Verdict,
    key: dg.AssetCheckKey,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """The verdict as the result of this check; a FAIL or CANNOT_TELL has the given severity."""
    findings = [
        dg.TableRecord({"where": finding.subject, "finding": finding.says})
        for finding in verdict.findings[:SHOWN_FINDINGS]
    ]
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=verdict.passed,
        severity=severity,
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
