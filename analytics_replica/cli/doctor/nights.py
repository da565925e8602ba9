"""How far the replica is on its way to the first night: copied, staged, published.

Here: what landing, the ledger and serving say. Not here: whether tonight will be in time (status).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analytics_replica.cli.doctor.answers import fine, missing, unknown
from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import LandingError, NotReady, ReplicaError
from analytics_replica.landing.layout import Store
from analytics_replica.landing.retention import ABOUT, Allowance, check_slot_retention
from analytics_replica.postgres.connect import connection
from analytics_replica.serving.editions import published_edition
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger

COPIED: Final = "the first copy is landed"
STAGED: Final = "staging is filled"
PUBLISHED: Final = "an edition is published"

_RUN: Final = "Run: analytics-replica run"


def nights(settings: Settings, last: Manifest | None, clock: Clock) -> Iterator[Verdict]:
    """The answers, in order; `last` is the newest landed batch."""
    if last is None:
        yield missing(
            COPIED, NotReady, ["nothing was captured yet"], "Run: analytics-replica capture"
        )
    else:
        yield fine(COPIED, batches=last.sequence, position=str(last.position))
        yield _slot(settings, clock)
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


def _slot(settings: Settings, clock: Clock) -> Verdict:
    allowed = Allowance.of(settings.replica.deadlines)
    try:
        return check_slot_retention(Store.of(settings), clock.now(), allowed)
    except LandingError:
        return unknown(ABOUT, "landing is broken")
