"""What happens to a slot and a landing, and how capture stops because of it.

Here: moving, dropping and losing a pipeline's slot as a DBA or a server would, and the assertion
that capture stops as promised. Not here: pipelines (support/pipeline.py).
"""

from __future__ import annotations

import time

from analytics_replica_tests.support.commands import call_on
from analytics_replica_tests.support.pipeline import Pipeline

RECOVER = "analytics-replica recover"
GAP = " bytes of log were released without being landed"


def captured(made: Pipeline) -> None:
    """One capture, after which the server has heard what was confirmed."""
    made.capture()
    while state(made, "active"):
        time.sleep(0.01)


def state(made: Pipeline, column: str) -> object:
    """One column of the slot's row in pg_replication_slots."""
    return made.production.scalar(
        f"select {column} from pg_replication_slots where slot_name = %s", (made.slot,)
    )


def write(made: Pipeline, number: int) -> None:
    """One committed row in t."""
    made.production.execute("insert into t values (%s)", (number,))


def landed(made: Pipeline) -> list[int]:
    """The ids that were landed, in order."""
    return [row[0] for row in made.landed("public.t", "id")]


def world(made: Pipeline) -> object:
    """Landing's files with their bytes' sizes, and the slots."""
    files = [(str(p), p.stat().st_size) for p in (made.root / "landing").rglob("*") if p.is_file()]
    slots = made.production.rows(
        "select slot_name, confirmed_flush_lsn::text from pg_replication_slots"
    )
    return sorted(files), slots


def stops(made: Pipeline, code: int, *says: str, repair: str = RECOVER) -> None:
    """Capture stops within ten seconds with this code and these words, and changes nothing."""
    before, began = world(made), time.monotonic()
    ended = call_on(made, "capture")
    assert time.monotonic() - began < 10
    assert ended.code == code, ended.err
    for words in (*says, repair):
        assert words in ended.err
    assert world(made) == before


def advance(made: Pipeline) -> None:
    """Moves the slot to the end of the log, by hand."""
    made.production.rows(
        "select pg_replication_slot_advance(%s, pg_current_wal_lsn())", (made.slot,)
    )


def drop(made: Pipeline) -> None:
    """Drops the slot, as a DBA may."""
    made.production.rows("select pg_drop_replication_slot(%s)", (made.slot,))


def create(made: Pipeline) -> None:
    """Makes the slot again, as a DBA may."""
    made.production.rows("select pg_create_logical_replication_slot(%s, 'pgoutput')", (made.slot,))


def lose(made: Pipeline, segments: int) -> None:
    """Real log that is worth this many segments, and the checkpoint that removes old ones."""
    for _ in range(segments):
        made.production.rows("select pg_logical_emit_message(false, '', repeat('x', 100000))")
        made.production.rows("select pg_switch_wal()")
    made.production.execute("checkpoint")
    assert state(made, "wal_status") == "lost"
