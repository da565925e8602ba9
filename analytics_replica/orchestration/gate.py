"""The gate before publishing: only a whole edition whose blocking checks passed goes through.

Here: the judgement from what Dagster has recorded. Not here: publishing (serving.publish), running
checks. In the nightly job a failed blocking check already keeps `ready` from starting; the gate
holds when somebody materializes `ready` alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, EventLogEntry

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import PublishRefused
from analytics_replica.orchestration.metadata import AS_OF, EDITION, POSITION
from analytics_replica.serving.editions import Edition


@dataclass(frozen=True, slots=True)
class Candidate:
    """The edition that the last build made, whole: from one run, of staging at one position."""

    edition: Edition
    position: Lsn
    as_of: dg.MetadataValue[Any]
    run_id: str


def require_whole(instance: dg.DagsterInstance, built: Sequence[dg.AssetKey]) -> Candidate:
    """What the last build of these assets made; PublishRefused unless one run built them all."""
    latest = instance.get_latest_materialization_events(built)
    missing = [key.to_user_string() for key in built if latest.get(key) is None]
    if missing:
        raise _refused(f"{_some(missing)} was never built")
    found = {_candidate(event) for event in latest.values() if event is not None}
    if len(found) != 1:
        raise _refused(f"its {len(built)} models were built by {len(found)} runs")
    return found.pop()


def require_passed(
    instance: dg.DagsterInstance, blocking: Collection[dg.AssetCheckKey]
) -> dict[str, int | float | str]:
    """A summary in figures; PublishRefused, naming them, if a check failed or did not run.

    A check counts if its last evaluation passed and judged what is materialized now.
    """
    summaries = instance.event_log_storage.get_asset_check_summary_records(list(blocking))
    assets = {key.asset_key for key in blocking}
    current = instance.get_latest_materialization_events(list(assets))
    failed, absent = [], []
    for key in blocking:
        summary = summaries.get(key)
        record = summary.last_check_execution_record if summary else None
        evaluation = record.evaluation if record else None
        if (
            record is None
            # Of a check that was planned and never ran, Dagster gives the plan here.
            or not isinstance(evaluation, dg.AssetCheckEvaluation)
            or not _is_about(record.run_id, evaluation, current.get(key.asset_key))
        ):
            absent.append(_shown(key))
        elif not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
            failed.append(_shown(key))
    if failed:
        raise _refused(f"{_some(failed)} failed")
    if absent:
        raise _refused(f"{_some(absent)} did not run on what was built")
    return {"blocking_checks_passed": len(blocking)}


def _candidate(event: EventLogEntry) -> Candidate:
    materialization = event.asset_materialization
    told = materialization.metadata if materialization else {}
    if EDITION not in told or POSITION not in told:
        raise _refused("a model was materialized by something else than the build of gold")
    edition = Edition(str(told[EDITION].value))
    position = Lsn.parse(str(told[POSITION].value))
    return Candidate(edition, position, told[AS_OF], event.run_id)


def _is_about(run_id: str, evaluation: AssetCheckEvaluation, current: EventLogEntry | None) -> bool:
    if current is None or run_id == current.run_id:
        return True
    judged = evaluation.target_materialization_data
    return judged is not None and judged.timestamp >= current.timestamp


def _shown(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}: {key.name}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more


def _refused(reason: str) -> PublishRefused:
    return PublishRefused(
        what=f"The new edition is not published: {reason}.",
        why="Analysts never read gold that is not whole or did not pass its blocking checks; they "
        "keep the last edition.",
        next="Look at the failed check, mend its cause, and run the night again with "
        "`analytics-replica run`.",
    )
