"""How far the replica is on its way to the first night: copied, staged, published.

Here: what landing, the ledger and serving say. Not here: whether tonight will be in time (status).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analytics_replica.cli.doctor.answers import fine, missing, unknown
from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import NotReady, ReplicaError
from analytics_replica.landing.retention import slot_verdict
from analytics_replica.postgres.connect import connection
from analytics_replica.serving.editions import published_edition
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger

COPIED: Final = "the first copy is landed"
STAGED: Final = "staging is filled"
PUBLISHED: Final = "an edition is published"

_RUN: Final = "Run: analytics-replica run"


def nights(settings: Settings, last: Manifest | None) -> Iterator[Verdict]:
    """The answers, in order; `last` is the newest landed batch."""
    if last is None:
        yield missing(
            COPIED, NotReady, ["nothing was captured yet"], "Run: analytics-replica capture"
        )
    else:
        yield fine(COPIED, batches=last.sequence, position=str(last.position))
        warn = settings.replica.deadlines.slot_retention_warn_mb
        yield slot_verdict(last, warn * 2**20)
    try:
        dsn = settings.secrets.get(settings.replica.warehouse.dsn)
        with connection(dsn, application="analytics-replica doctor") as opened:
            known, edition = ledger.read(opened), published_edition(opened)
    except ReplicaError:
        yield from (unknown(about, "the warehouse was not read") for about in (STAGED, PUBLISHED))
        return
    if known.last_batch:
        yield fine(STAGED, tables=len(known.tables), position=str(known.position))
    else:
        yield missing(STAGED, NotReady, ["no batch was applied yet"], _RUN)
    if edition is not None:
        yield fine(PUBLISHED, edition=edition.value)
    else:
        yield missing(PUBLISHED, NotReady, ["analysts have nothing to read yet"], _RUN)
