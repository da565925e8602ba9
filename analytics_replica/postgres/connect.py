"""Connections to PostgreSQL, with our settings and our errors.

Here: opening a connection, translating the driver's errors without their text (DETAIL and CONTEXT
quote values of rows), advisory locks. Not here: statements.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

import psycopg2
import psycopg2.extensions

from analytics_replica.errors import (
    AlreadyRunning,
    ReplicaError,
    SettingsInvalid,
    WarehouseError,
    WarehouseUnreachable,
)

Connection = psycopg2.extensions.connection

STABLE_TEXT: Final = (
    "-c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=postgres "
    "-c extra_float_digits=3 -c bytea_output=hex -c lc_monetary=C"
)
"""Session settings under which PostgreSQL prints every value in one exact form."""

CONNECT_TIMEOUT_S: Final = 10

NO_TIME: Final = timedelta()

ASK_AGAIN_S: Final = 0.25
"""How often somebody who waits for a lock asks for it."""


def connect(dsn: str, *, application: str = "analytics-replica", options: str = "") -> Connection:
    """A connection with stable text output, in a transaction, under a name DBAs recognise.

    WarehouseUnreachable if the server cannot be reached or refuses us; the message carries the
    server's reason only as far as it names no row.
    """
    try:
        return psycopg2.connect(
            dsn,
            application_name=application,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=f"{STABLE_TEXT} {options}".strip(),
        )
    except psycopg2.ProgrammingError:
        raise not_a_dsn() from None
    except psycopg2.OperationalError as cause:
        raise WarehouseUnreachable(
            what=f"PostgreSQL at {describe(dsn)} cannot be reached: {first_line(cause)}.",
            why="Nothing was read or written; what was there stays as it is.",
            next="Check that the server runs, that the DSN in the environment is right, and that a "
            "connection is left for its role (connection limit, max_connections), then run the "
            "same command again.",
        ) from None


@contextlib.contextmanager
def connection(dsn: str, *, application: str = "analytics-replica") -> Iterator[Connection]:
    """A connection that commits when the block ends, rolls back when it fails, and is closed."""
    opened = connect(dsn, application=application)
    try:
        with opened:
            yield opened
    except psycopg2.Error as cause:
        raise refused(cause) from None
    finally:
        opened.close()


def refused(cause: psycopg2.Error, doing: str = "a statement") -> ReplicaError:
    """The driver's error rebuilt from class, SQLSTATE, table and column, without its text."""
    code = cause.pgcode or "none"
    where = ".".join(
        part
        for part in (cause.diag.schema_name, cause.diag.table_name, cause.diag.column_name)
        if part
    )
    at = f" at {where}" if where else ""
    if isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)) and not cause.pgcode:
        return WarehouseUnreachable(
            what=f"The connection to PostgreSQL broke during {doing}.",
            why="The transaction was rolled back by the server; the last good state stays.",
            next="Check that the server runs, then run the same command again.",
        )
    return WarehouseError(
        what=f"PostgreSQL refused {doing}: {type(cause).__name__} (SQLSTATE {code}){at}.",
        why="The transaction was rolled back; the last good state stays. The server's own words "
        "may quote values of rows, so they are not repeated here.",
        next="Look the SQLSTATE up in PostgreSQL's manual (appendix A); the server's log has "
        "the statement.",
    )


def first_line(cause: BaseException) -> str:
    """The first line of a connection error: host, port, role, database; never a row."""
    return (str(cause).strip().splitlines() or ["no reason given"])[0].rstrip(".")


def describe(dsn: str) -> str:
    """The DSN for people: host, port, database and role, never the password."""
    try:
        known = dict(psycopg2.extensions.parse_dsn(dsn))
    except psycopg2.ProgrammingError:
        return "the DSN (which is not a valid one)"
    host = known.get("host", "the local socket")
    port = f":{known['port']}" if "port" in known else ""
    return f"{host}{port}/{known.get('dbname', '')} as {known.get('user', 'the current user')}"


def parts_of(dsn: str) -> dict[str, str]:
    """The DSN's parts as libpq reads them (host, port, user, password, dbname, …).

    SettingsInvalid if libpq does not understand it.
    """
    try:
        return {key: str(value) for key, value in psycopg2.extensions.parse_dsn(dsn).items()}
    except psycopg2.ProgrammingError:
        raise not_a_dsn() from None


def not_a_dsn() -> SettingsInvalid:
    """The error for a DSN that libpq does not understand; its words could quote the password."""
    return SettingsInvalid(
        what="A DSN in the environment is not one that PostgreSQL's libpq understands.",
        why="Nothing was read or written. It is not repeated here: it may hold a password.",
        next="Write it as postgresql://role:password@host:port/database.",
    )


@contextlib.contextmanager
def advisory_lock(dsn: str, purpose: str, wait: timedelta = NO_TIME) -> Iterator[None]:
    """Holds the lock for `purpose` in this database; PostgreSQL frees it when we die.

    AlreadyRunning, with the holder's process id, if another session has it for longer than `wait`.
    """
    opened = connect(dsn, application=f"analytics-replica {purpose}")
    opened.autocommit = True
    try:
        with opened.cursor() as cursor:
            key = f"analytics-replica:{purpose}"

            def taken() -> bool:
                cursor.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (key,))
                return cursor.fetchone() == (True,)

            if waited_for(taken, wait):
                yield
                return
            raise AlreadyRunning(
                what=f"Another {purpose} runs already ({_holder(cursor, key)}).",
                why="Two at once would do the same work twice, so this one stopped at once.",
                next="Wait for it to end (`analytics-replica status`), then start again.",
            )
    finally:
        opened.close()


def waited_for(taken: Callable[[], bool], wait: timedelta) -> bool:
    """Tries to take something until it is taken, or `wait` is over; true if it is taken."""
    until = time.monotonic() + wait.total_seconds()
    while not taken():
        if time.monotonic() >= until:
            return False
        time.sleep(ASK_AGAIN_S)
    return True


def _holder(cursor: psycopg2.extensions.cursor, key: str) -> str:
    cursor.execute(
        """
        -- who holds the advisory lock with this 64-bit key: its two halves are classid and objid
        select a.pid, a.backend_start at time zone 'UTC'
        from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.granted and l.objsubid = 1
          and ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%s, 0)
        """,
        (key,),
    )
    row = cursor.fetchone()
    return f"server process {row[0]}, since {row[1]:%H:%M} UTC" if row else "it just ended"
