"""Production's raw log over a physical stream, read in memory to prove that it is silent.

Here: reading one stretch of log with the REPLICATION right that we have, and the proof that comes
of it. Not here: what the bytes mean (silence.py), when a proof is needed (resume.py).

Raw log holds unmasked rows: it is never written anywhere, and no error repeats any of it. Nothing
is confirmed, no slot is made, nothing is written to production.
"""

from __future__ import annotations

import contextlib
import re
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg2
from psycopg2.extras import REPLICATION_PHYSICAL, PhysicalReplicationConnection

from analytics_replica.domain.batches import SourceIdentity
from analytics_replica.domain.lsn import Lsn
from analytics_replica.postgres.connect import CONNECT_TIMEOUT_S
from analytics_replica.postgres.identifiers import compose, number
from analytics_replica.source.silence import Proof, Unreadable, Walk

_NEVER_S: Final = 10_000_000
"""Without status messages the server never takes us for a synchronous standby."""

_HISTORY: Final = "TIMELINE_HISTORY {timeline}"

_UNITS: Final = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read, and for how long, before silence counts as not proven."""

    bytes: int = 64 * 2**20
    within: timedelta = timedelta(seconds=8)
    """A capture that cannot go on says so within ten seconds."""
    clock: Callable[[], float] = time.monotonic


def prove_silence(
    dsn: str, identity: SourceIdentity, since: Lsn, upto: Lsn, limits: Limits | None = None
) -> Proof:
    """Silent only if every record from `since` to `upto` was read and none ended a transaction.

    In doubt for whatever else: a commit (of any database of the server), log that is gone or
    cannot be read, more or longer than the limits, another server or timeline.
    """
    limits = limits or Limits()
    if upto - since > limits.bytes:
        return Proof.doubted(f"it is more than the {limits.bytes // 2**20} MB that are looked at")
    give_up_at = limits.clock() + limits.within.total_seconds()
    try:
        with contextlib.closing(_open(dsn)) as opened, opened.cursor() as cursor:
            if _identity(cursor) != (identity.system_identifier, identity.timeline):
                return Proof.doubted("the server behind the DSN is not the same any more")
            walk = Walk(since, _segment_bytes(cursor), identity.system_identifier)
            cursor.start_replication(
                slot_type=REPLICATION_PHYSICAL,
                start_lsn=since.value,
                status_interval=_NEVER_S,
                decode=False,
            )
            pieces = _pieces(cursor, since, lambda: limits.clock() > give_up_at)
            return _walked(walk, upto, pieces)
    except psycopg2.Error as cause:
        return Proof.doubted(f"production did not send it (SQLSTATE {cause.pgcode or 'none'})")
    except Unreadable as cause:
        return Proof.doubted(f"it cannot be read: {cause}")


def fork_of(dsn: str, before: int, now: int) -> Lsn | None:
    """Where the timeline `now` left the timeline `before`; None if production does not say."""
    try:
        with contextlib.closing(_open(dsn)) as opened, opened.cursor() as cursor:
            cursor.execute(compose(_HISTORY, timeline=number(now)).text)
            content = cursor.fetchone()[1]
    except psycopg2.Error:
        return None
    # Text since PostgreSQL 15, before that bytea.
    history = content if isinstance(content, str) else bytes(content).decode(errors="replace")
    found = re.search(rf"^{int(before)}\t(\S+)", history, re.MULTILINE)
    return Lsn.parse(found[1]) if found is not None else None


def silence_of(
    dsn: str, identity: SourceIdentity, recorded: Lsn | None
) -> Callable[[Lsn, Lsn], Proof]:
    """How the guard asks for silence: landing's own record first, production's log for the rest."""

    def ask(since: Lsn, upto: Lsn) -> Proof:
        if recorded is not None and upto <= recorded:
            return Proof.given(f"capture recorded silence up to {recorded}")
        return prove_silence(dsn, identity, max(since, recorded or since), upto)

    return ask


def _walked(walk: Walk, upto: Lsn, pieces: Iterator[bytes]) -> Proof:
    records = 0
    for piece in pieces:
        for record in walk.feed(piece):
            if record.start >= upto.value:
                break
            records += 1
            if record.ends_transaction:
                return Proof.doubted(f"a transaction ended in it, at {Lsn(record.start)}")
        if walk.complete_to >= upto:
            return Proof.given(f"none of its {records:,} records ends a transaction")
    return Proof.doubted("it did not arrive in time")


def _pieces(cursor: Any, since: Lsn, is_late: Callable[[], bool]) -> Iterator[bytes]:
    """The log as it comes, in order and without a gap, until it is late."""
    expected = since.value
    while not is_late():
        message = cursor.read_message()
        if message is None:
            select.select([cursor], [], [], 0.1)
            continue
        if message.data_start != expected:
            raise Unreadable(expected, "log that does not go on")
        expected += len(message.payload)
        yield message.payload


def _open(dsn: str) -> Any:
    return psycopg2.connect(
        dsn,
        connection_factory=PhysicalReplicationConnection,
        application_name="analytics-replica silence",
        connect_timeout=CONNECT_TIMEOUT_S // 2,
    )


def _identity(cursor: Any) -> tuple[str, int]:
    cursor.execute("IDENTIFY_SYSTEM")
    system, timeline, _, _ = cursor.fetchone()
    return str(system), int(timeline)


def _segment_bytes(cursor: Any) -> int:
    cursor.execute("SHOW wal_segment_size")
    shown = re.fullmatch(r"(\d+)([kMG]?B)", cursor.fetchone()[0])
    if shown is None:
        raise Unreadable(0, "a segment size that is not understood")
    return int(shown[1]) * _UNITS[shown[2]]
