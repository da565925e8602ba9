"""One transaction in the analytics database over one ADBC connection.

Here: opening it, statements, bulk loads, the lock that lets one apply run at a time, and the
driver's errors without their text. Not here: which statements (ddl.py, merge.py, ledger.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import adbc_driver_manager
import psycopg2
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from psycopg2.extensions import make_dsn

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import AlreadyRunning, WarehouseError, WarehouseUnreachable
from analytics_replica.postgres.connect import NO_TIME, STABLE_TEXT, connect, describe, waited_for
from analytics_replica.postgres.identifiers import Sql
from analytics_replica.postgres.identifiers import table as quoted

Statement = Sql | str
"""Composed SQL, or a constant of the code."""

LOCK_TIMEOUT: Final = "1min"
"""How long a change of a table's definition waits for its readers; nothing else waits."""

_SETTINGS: Final = (
    "-c search_path=pg_catalog "
    # If we are killed while a statement runs or waits, the server ends it: the next apply need not
    # wait for what nobody waits for.
    "-c client_connection_check_interval=1s "
    # Sorting for the primary keys of a first load; the defaults of 4 and 64 MB spill.
    "-c work_mem=64MB -c maintenance_work_mem=256MB "
    # With the default of 4 the planner reads the whole table for 20k changes of 3M rows: 0.9 s, and
    # growing with the table, instead of 0.3 s through the key (measured 2026-11).
    "-c random_page_cost=1.1"
)

_LOCK_KEY: Final = "hashtextextended('analytics-replica:apply', 0)"

_LOCK: Final = f"select pg_try_advisory_xact_lock({_LOCK_KEY})"

_HOLDER: Final = f"""
-- who holds the apply's lock: the two halves of its 64-bit key are classid and objid
select a.pid, to_char(a.backend_start at time zone 'UTC', 'HH24:MI')
from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and ((l.classid::bigint << 32) | l.objid::bigint) = {_LOCK_KEY}
"""

_LOCK_NOT_AVAILABLE: Final = "55P03"

_READERS: Final = """
-- who holds a lock on a table or view that the statement names; since when, PostgreSQL tells only
-- those who may see it, and of a prepared transaction nothing
select n.nspname || '.' || c.relname, l.pid, a.application_name,
       to_char(a.xact_start at time zone 'UTC', 'HH24:MI')
from pg_locks l
join pg_class c on c.oid = l.relation
join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_activity a using (pid)
where l.granted and l.pid is distinct from pg_backend_pid()
  and l.database = (select oid from pg_database where datname = current_database())
  and strpos($1, format('"%s"."%s"',
        replace(n.nspname, '"', '""'), replace(c.relname, '"', '""'))) > 0
group by 1, 2, 3, 4
order by 4, 2
"""


class StatementRefused(WarehouseError):
    """The warehouse refused a statement; `sqlstate` says what kind of refusal it was."""

    def __init__(self, *, what: str, why: str, next: str, sqlstate: str) -> None:  # noqa: A002 - the law's word
        super().__init__(what=what, why=why, next=next)
        self.sqlstate = sqlstate

    @property
    def is_about_the_table(self) -> bool:
        """True if rows or types did not fit their table; false if the server is in trouble."""
        return self.sqlstate[:2] in {"22", "23", "0A"} or self.sqlstate == "42704"


@dataclass(frozen=True)
class Transaction:
    """An open transaction. Nothing that it does is seen by others before the block ends."""

    connection: Any

    def execute(self, statement: Statement, *values: Any) -> int:
        """Runs the statement; returns the rows it changed (-1 where PostgreSQL does not say)."""
        with self._told("a statement", statement), self.connection.cursor() as cursor:
            cursor.execute(str(statement), values or None)
            return int(cursor.rowcount)

    def rows(self, statement: Statement, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of the query."""
        with self._told("a query", statement), self.connection.cursor() as cursor:
            cursor.execute(str(statement), values or None)
            return list(cursor.fetchall())

    def scalar(self, statement: Statement, *values: Any) -> Any:
        """The first column of the first row."""
        return self.rows(statement, *values)[0][0]

    def load(self, reader: pa.RecordBatchReader, table: str, schema: str | None) -> int:
        """Appends the rows to the table by binary COPY; returns how many. No schema: temporary.

        The reader's columns are matched by name; each must have the type that the column receives
        (encoding.py). An error of the reader goes on as it is.
        """
        failures: list[Exception] = []
        rows = pa.RecordBatchReader.from_batches(reader.schema, _remembering(reader, failures))
        into = "" if schema is None else quoted(TableName(schema, table))
        try:
            with self._told(f"loading {table}", into), self.connection.cursor() as cursor:
                return int(
                    cursor.adbc_ingest(
                        table, rows, mode="append", db_schema_name=schema, temporary=schema is None
                    )
                )
        except WarehouseError:
            if failures:  # the driver calls it a broken connection
                raise failures[0] from None
            raise

    @contextlib.contextmanager
    def _told(self, doing: str, statement: Statement) -> Iterator[None]:
        with _translated(doing):
            try:
                yield
            except adbc_driver_manager.Error as cause:
                if cause.sqlstate != _LOCK_NOT_AVAILABLE:
                    raise
                # The transaction is lost already; only after it can anything be asked.
                self.connection.rollback()
                with self.connection.cursor() as cursor:
                    cursor.execute(_READERS, (str(statement),))
                    raise _held(doing, cursor.fetchall()) from None

    def lock(self, wait: timedelta = NO_TIME) -> None:
        """Lets no second apply run until this transaction ends.

        AlreadyRunning if one does, and goes on for longer than we may `wait`.
        """
        if waited_for(lambda: bool(self.scalar(_LOCK)), wait):
            return
        holder = self.rows(_HOLDER)
        by = (
            f"server process {holder[0][0]}, since {holder[0][1]} UTC"
            if holder
            else "it just ended"
        )
        raise AlreadyRunning(
            what=f"Another apply runs already ({by}).",
            why="Two at once would do the same work twice, so this one stopped at once.",
            next="Wait for it to end (`analytics-replica status`), then start again.",
        )


def _remembering(
    reader: pa.RecordBatchReader, failures: list[Exception]
) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except Exception as cause:
        failures.append(cause)
        raise


@contextlib.contextmanager
def transaction(dsn: str) -> Iterator[Transaction]:
    """A transaction that commits when the block ends and rolls back when it fails.

    WarehouseUnreachable if the server cannot be reached.
    """
    connection = _open(dsn)
    try:
        try:
            yield Transaction(connection)
            with _translated(_COMMIT):
                connection.commit()
        except BaseException:
            # The connection may be gone; then the server rolls back by itself.
            with contextlib.suppress(adbc_driver_manager.Error):
                connection.rollback()
            raise
    finally:
        with contextlib.suppress(adbc_driver_manager.Error):
            connection.close()


def adbc_refused(cause: adbc_driver_manager.Error, doing: str) -> WarehouseError:
    """The driver's error rebuilt from its SQLSTATE alone; its text may quote values of rows."""
    code = cause.sqlstate or ""
    if not code or code.startswith(("08", "57P")):
        return WarehouseUnreachable(
            what=f"The connection to the warehouse broke during {doing}.",
            why=_LOST_COMMIT if doing == _COMMIT else _LOST,
            next="Check that the server runs, then run the same command again.",
        )
    return StatementRefused(
        what=f"The warehouse refused {doing}: {_meaning(code)} (SQLSTATE {code}).",
        why="The transaction was rolled back; staging's last good state stays. The server's own "
        "words may quote values of rows, so they are not repeated here.",
        next=_NEXT.get(code, _LOOK_UP),
        sqlstate=code,
    )


def _held(doing: str, readers: Sequence[Sequence[Any]]) -> StatementRefused:
    """The error for a lock that others did not give back: who, never what they ask."""
    found = [_reader(*reader) for reader in readers]
    return StatementRefused(
        what=f"The warehouse refused {doing}: another session held a table for longer than "
        f"{LOCK_TIMEOUT} (SQLSTATE {_LOCK_NOT_AVAILABLE}): {', '.join(found) or 'it just ended'}.",
        why="A change of a table's definition waits for its readers, and new readers wait for it. "
        "The transaction was rolled back; staging's last good state stays.",
        next="Wait for that session to end, or end it (pg_terminate_backend), then run the same "
        "command again.",
        sqlstate=_LOCK_NOT_AVAILABLE,
    )


def _reader(table: str, pid: int | None, application: str | None, since: str | None) -> str:
    if pid is None:
        return f"{table} by a prepared transaction (pg_prepared_xacts)"
    named = f" ({application})" if application else ""
    return f"{table} by server process {pid}{named}" + (f" since {since} UTC" if since else "")


_COMMIT: Final = "the commit"
_LOST: Final = "The server rolls the transaction back; staging's last good state stays."
_LOST_COMMIT: Final = (
    "Whether the server still committed is not known here: staging is either wholly as it was or "
    "wholly as it will be, and its ledger says which."
)

_LOOK_UP: Final = (
    "Look the SQLSTATE up in PostgreSQL's manual (appendix A); the server's log has the statement."
)
_NEXT: Final = {
    "53100": "Free space on the warehouse's disk, then run the same command again.",
    "53200": "Give the warehouse more memory, then run the same command again.",
}


_MEANINGS: Final = {
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it has no connection left",
    "42501": "our role lacks a right",
    "40P01": "a deadlock with another session",
    "42704": "it does not know a type",
}


def _meaning(code: str) -> str:
    classes = {
        "0A": "it cannot do what a type needs",
        "22": "a value does not fit its column",
        "23": "rows break a constraint",
    }
    return _MEANINGS.get(code) or classes.get(code[:2]) or "it gave no reason that we may repeat"


def _open(dsn: str) -> Any:
    options = f"{STABLE_TEXT} {_SETTINGS} -c lock_timeout={LOCK_TIMEOUT}"
    try:
        return dbapi.connect(
            make_dsn(dsn, application_name="analytics-replica apply", options=options)
        )
    except psycopg2.ProgrammingError:
        raise WarehouseUnreachable(
            what="The warehouse's DSN is not one that PostgreSQL understands.",
            why="Nothing was read or written.",
            next="Correct the environment variable that replica.yaml names under `warehouse`.",
        ) from None
    except adbc_driver_manager.Error:
        connect(dsn).close()  # says the reason, as far as it may be said
        raise WarehouseUnreachable(
            what=f"The warehouse at {describe(dsn)} does not accept our connection.",
            why="Nothing was read or written; what was there stays as it is.",
            next="Check the server's log, then run the same command again.",
        ) from None


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except adbc_driver_manager.Error as cause:
        raise adbc_refused(cause, doing) from None
