"""Pools: who claims the replication slot inside Dagster.

Here: freeing claims that dead processes left. Not here: the pool's limit (dagster.yaml). A process
that was killed keeps its claim for ever, and the next run would wait for it without a word. The
warehouse's advisory lock tells the dead from the living: PostgreSQL frees it with the connection.
"""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg

from analytics_replica.errors import AlreadyRunning, WarehouseUnreachable
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.resources import CAPTURE_LOCK
from analytics_replica.postgres.connect import advisory_lock


def free_abandoned(instance: dg.DagsterInstance, dsn: Callable[[], str]) -> tuple[str, ...]:
    """Frees the slot's claims if nobody captures, and ends their runs; the runs that were freed.

    Does nothing while a capture runs, or while the warehouse, which alone can tell, is down.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return ()
    claimed = sorted(storage.get_concurrency_info(keys.SLOT_POOL).active_run_ids)
    if not claimed:
        return ()
    try:
        with advisory_lock(dsn(), CAPTURE_LOCK):
            for run_id in claimed:
                storage.free_concurrency_slots_for_run(run_id)
                _end(instance, run_id)
    except (AlreadyRunning, WarehouseUnreachable):
        return ()
    return tuple(claimed)


def _end(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_failed(run, "Its process died while it captured; its claim was freed.")
