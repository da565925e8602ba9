"""Production's log, kept for the time of one base backup.

Here: a temporary physical slot. Not here: our logical slot (slot.py), the backup (base_backup.py).

Production removes log at each checkpoint unless a slot holds it. During a first copy our own slot
does; during a later copy it moves on with the captures, and a backup that takes longer than
checkpoint_timeout would find its log gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
from psycopg2.extras import PhysicalReplicationConnection

from analytics_replica.errors import CopyFailed
from analytics_replica.postgres.connect import CONNECT_TIMEOUT_S
from analytics_replica.postgres.identifiers import compose, name

_KEEP = "CREATE_REPLICATION_SLOT {slot} TEMPORARY PHYSICAL RESERVE_WAL"


@contextlib.contextmanager
def log_kept(dsn: str, slot: str) -> Iterator[None]:
    """Production removes no log that is written within the block.

    The slot is temporary: it is gone when the block ends, and when we die. CopyFailed if
    production has no slot to spare.
    """
    try:
        opened = psycopg2.connect(
            dsn,
            connection_factory=PhysicalReplicationConnection,
            application_name="analytics-replica copy",
            connect_timeout=CONNECT_TIMEOUT_S,
        )
        with opened.cursor() as cursor:
            cursor.execute(compose(_KEEP, slot=name(slot)).text)
    except psycopg2.Error as cause:
        raise CopyFailed(
            what=f"Production could not keep its log for a base backup (SQLSTATE {cause.pgcode}).",
            why="Without that, captures that go on would let the backup's log be removed.",
            next="Raise max_replication_slots on production by one, or name a standby in "
            "source.physical_copy.",
        ) from None
    try:
        yield
    finally:
        opened.close()
