"""All asset checks on what is there now, without materializing anything.

Here: running them, and counting those that did not run. Not here: printing and exit codes (cli).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import dagster as dg

from analytics_replica.orchestration import keys
from analytics_replica.orchestration.nightly import QUIET, quiet_dbt


class CheckState(StrEnum):
    """How a check ended. NOT_RUN is no pass: dbt skips tests behind a failed one."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """One check of one asset, with what it says; names and counts, never a row's value."""

    asset: str
    check: str
    state: CheckState
    says: str

    @property
    def is_bad(self) -> bool:
        """True if a person must look: it failed, or it did not run."""
        return self.state in (CheckState.FAILED, CheckState.NOT_RUN)


def run_all_checks(definitions: dg.Definitions, instance: dg.DagsterInstance) -> list[CheckOutcome]:
    """Every check of the graph, in order of asset and name; materializes nothing.

    Raw and staging are judged as they are, gold in the edition that was built last.
    """
    job = definitions.resolve_job_def(keys.CHECKS_JOB)
    with quiet_dbt():
        result = job.execute_in_process(run_config=QUIET, instance=instance, raise_on_error=False)
    judged = {check.asset_check_key: check for check in result.get_asset_check_evaluations()}
    wanted = definitions.resolve_asset_graph().asset_check_keys
    return [_outcome(key, judged.get(key)) for key in sorted(wanted | judged.keys())]


def _outcome(key: dg.AssetCheckKey, judged: dg.AssetCheckEvaluation | None) -> CheckOutcome:
    asset = key.asset_key.to_user_string()
    if judged is None:
        says = "it did not run: its step failed, or a check before it did"
        return CheckOutcome(asset, key.name, CheckState.NOT_RUN, says)
    if judged.passed:
        state = CheckState.PASSED
    elif judged.severity is dg.AssetCheckSeverity.ERROR:
        state = CheckState.FAILED
    else:
        state = CheckState.WARNED
    return CheckOutcome(asset, key.name, state, judged.description or state.value)
