"""The one connection to production: replication protocol only.

Here: opening it, IDENTIFY_SYSTEM, the single catalog read, START_REPLICATION, reading messages up
to a position, confirming. Not here: what messages mean (pgoutput.py), when to confirm
(landing.capture). No other module talks to production.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg2
import psycopg2.errors
from psycopg2.extras import LogicalReplicationConnection

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import (
    SlotBusy,
    SourceError,
    SourceNotPrepared,
    SourceUnreachable,
    StreamInvalid,
)
from analytics_replica.postgres.connect import (
    CONNECT_TIMEOUT_S,
    STABLE_TEXT,
    describe,
    first_line,
    not_a_dsn,
)
from analytics_replica.source.catalog_read import READ_STATE
from analytics_replica.source.publications import inserts_name
from analytics_replica.source.slot import SourceState, state_from_row

NO_AUTOMATIC_CONFIRM: Final = "-c wal_sender_timeout=0 -c tcp_keepalives_idle=60"
"""psycopg2 answers a server's 'are you there' by confirming what it believes is flushed; we alone
decide what is confirmed, so the server never asks, and TCP notices a dead peer instead."""

NEVER_S: Final = 10_000_000
"""psycopg2's own status messages would confirm a keepalive's position before anything is landed;
a capture that failed then would find the slot ahead of landing. The server tells how far it has
come without being asked, as long as we have not confirmed it."""

NAP_S: Final = 0.0001
"""Messages arrive in bunches: a short sleep before reading on saves a wake-up for each message. A
longer one would let the socket fill, and the walsender wait (3 ms: a fifth of the speed)."""

CALM_NAP_S: Final = 0.005
FEW: Final = 64
"""While only a few messages come at a time, naps grow up to this: a sleeping reader is not woken
for each message, which costs the walsender on production's core."""

SILENCE_S: Final = 0.002
"""Without a message for so long, what was read is handed over though it is little."""

BUNCH_S: Final = 0.1
"""A production that is never silent is handed over so often, however little it says."""

BUNCH_BYTES: Final = 8 * 2**20
LOOK_EVERY: Final = 64
"""A bunch of large messages ends early; their size is summed up once in so many."""


_GOING_DOWN: Final = ("08", "57")
"""SQLSTATE classes of a connection that ended, and of an operator who ended it or the server."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """The server has nothing at the moment; if no transaction is open, all before is complete."""

    complete_to: Lsn


Read = list[bytes] | Quiet


def protocol_for(server_version: int) -> dict[str, str]:
    """The newest protocol of this server, and open transactions streamed.

    Text, not binary: it reads no faster (2026-11-21: 1.81 s against 1.82 s for 750,000 changes) and
    is exact for every type that production may have.
    """
    version = 2 if server_version < 150000 else 3 if server_version < 160000 else 4
    return {"proto_version": str(version), "streaming": "on"}


@dataclass(frozen=True)
class SystemIdentity:
    """What IDENTIFY_SYSTEM says: which cluster, which timeline, how far its log is flushed."""

    system_identifier: str
    timeline: int
    flushed: Lsn


class SourceConnection:
    """A replication connection to production's database. Use as a context manager."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection = _open(dsn)
        self._cursor = self._connection.cursor()
        self._complete_to = Lsn(0)
        self._nap_s = NAP_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(psycopg2.Error):
            self._connection.close()

    def identify(self) -> SystemIdentity:
        """Which system this is and how far its log is flushed now."""
        with _explained(self._dsn):
            self._cursor.execute("IDENTIFY_SYSTEM")
            system, timeline, flushed, _ = self._cursor.fetchone()
        return SystemIdentity(str(system), int(timeline), Lsn.parse(flushed))

    def read_state(self, slot: str, publication: str) -> SourceState:
        """Slot, publication, wal_level and our rights: the single catalog read of a capture."""
        with _explained(self._dsn):
            names = {"publication": publication, "inserts": inserts_name(publication)}
            self._cursor.execute(READ_STATE, {"slot": slot, **names})
            return state_from_row(self._cursor.fetchone()[0], publication)

    def start(
        self, slot: str, publications: Sequence[str], start: Lsn, server_version: int
    ) -> None:
        """Starts the stream: every transaction whose commit record starts at `start` or later.

        SlotBusy if another process has the slot.

        The stream has a connection of its own: PostgreSQL decodes with what the session remembers
        of a table, and after a query on the catalog that is its present shape, also for changes
        from before it got it (18.6: an int was read as a bigint).
        """
        self._connection.close()
        self._connection = _open(self._dsn)
        self._cursor = self._connection.cursor()
        with _explained(self._dsn):
            self._cursor.start_replication(
                slot_name=slot,
                decode=False,
                start_lsn=start.value,
                status_interval=NEVER_S,
                options={
                    **protocol_for(server_version),
                    "publication_names": _quoted_list(publications),
                },
            )
        self._complete_to = start

    def read(self, at_most: int, look_s: float) -> Iterator[Read]:
        """What the server sends, in order, for as long as the caller goes on.

        Bunches of up to `at_most` messages; Quiet when there is nothing at the moment, again every
        `look_s` seconds.
        """
        with _explained(self._dsn):
            while True:
                bunch = self._bunch(at_most)
                if bunch:
                    yield bunch
                    continue
                self._complete_to = max(self._complete_to, Lsn(self._cursor.wal_end))
                yield Quiet(self._complete_to)
                self._wait(look_s)

    def _bunch(self, at_most: int) -> list[bytes]:
        bunch: list[bytes] = []
        read = self._cursor.read_message
        size = looked = waited_at = 0
        until = time.monotonic() + BUNCH_S
        while len(bunch) < at_most and size < BUNCH_BYTES:
            for _ in range(min(LOOK_EVERY, at_most - len(bunch))):
                message = read()
                if message is None:
                    break
                bunch.append(message.payload)
            else:
                size += sum(map(len, bunch[looked:]))
                looked = len(bunch)
                continue
            few = len(bunch) - waited_at < FEW
            self._nap_s = min(2 * self._nap_s, CALM_NAP_S) if few else NAP_S
            waited_at = len(bunch)
            if not bunch or time.monotonic() > until or not self._wait(SILENCE_S):
                break
        return bunch

    def _wait(self, seconds: float) -> bool:
        """Waits until something can be read; False if nothing came."""
        readable, _, _ = select.select([self._cursor], [], [], seconds)
        if readable:
            time.sleep(self._nap_s)
        return bool(readable)

    def confirm(self, position: Lsn) -> None:
        """Tells the slot that everything before `position` is landed and may be forgotten."""
        with _explained(self._dsn):
            self._cursor.send_feedback(
                write_lsn=position.value,
                flush_lsn=position.value,
                apply_lsn=position.value,
                force=True,
            )


def _open(dsn: str) -> Any:
    try:
        return psycopg2.connect(
            dsn,
            connection_factory=LogicalReplicationConnection,
            application_name="analytics-replica capture",
            connect_timeout=CONNECT_TIMEOUT_S,
            client_encoding="UTF8",
            # A network that swallows packets is noticed within two minutes, also while silent.
            keepalives_idle=60,
            keepalives_interval=15,
            keepalives_count=4,
            tcp_user_timeout=120_000,
            options=f"{STABLE_TEXT} {NO_AUTOMATIC_CONFIRM}",
        )
    except psycopg2.ProgrammingError:
        raise not_a_dsn() from None
    except psycopg2.Error as cause:
        said = first_line(cause)
        if "permission denied" in said:  # "… to start WAL sender": nothing else is asked for yet
            raise no_replication_right(dsn) from None
        raise SourceUnreachable(
            what=f"Production at {describe(dsn)} cannot be reached: {said}.",
            why="Nothing was read. Production keeps its log for us while the slot has room.",
            next="Check the DSN, the network and pg_hba.conf (a line for our role and database "
            "`replication`), then capture again.",
        ) from None


def no_replication_right(dsn: str) -> SourceNotPrepared:
    """The error for a role that may not replicate."""
    return SourceNotPrepared(
        what=f"The role in the DSN ({describe(dsn)}) has no REPLICATION right.",
        why="Only that right lets us read the log; we need no other one.",
        next="Have the DBA run what `analytics-replica source sql` prints.",
    )


@contextlib.contextmanager
def _explained(dsn: str) -> Iterator[None]:
    try:
        yield
    except psycopg2.errors.ObjectInUse:
        raise SlotBusy(
            what="Another process reads the slot at this moment.",
            why="A slot has one reader, so nothing can be read twice.",
            next="Wait for the other capture to end; pg_replication_slots.active_pid names it.",
        ) from None
    except psycopg2.errors.InsufficientPrivilege:
        raise no_replication_right(dsn) from None
    except psycopg2.Error as cause:
        # A connection that ends within a message is a bare DatabaseError without a code.
        if cause.pgcode is None or cause.pgcode.startswith(_GOING_DOWN):
            raise SourceUnreachable(
                what=f"The connection to production at {describe(dsn)} broke.",
                why="What was not landed completely is read again; nothing is lost.",
                next="Capture again when production answers.",
            ) from None
        raise _refused(cause) from None


def _refused(cause: psycopg2.Error) -> SourceError:
    code = cause.pgcode or "none"
    return StreamInvalid(
        what=f"Production refused a replication command: {type(cause).__name__} (SQLSTATE {code}).",
        why="What was not landed completely is read again; nothing is lost.",
        next="Look the SQLSTATE up in PostgreSQL's manual (appendix A); production's log has "
        "the reason. `analytics-replica doctor` checks slot and publication.",
    )


def _quoted_list(publications: Sequence[str]) -> str:
    return ",".join('"' + name.replace('"', '""') + '"' for name in publications)
