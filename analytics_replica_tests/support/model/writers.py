"""Writers: threads that execute random transactions against production until they are stopped.

Here: executing, what concurrency may refuse, and the gate at which all writers can be held. Not
here: what they execute (transactions.py).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.errors

from analytics_replica_tests.support.model.tables import ModelTable
from analytics_replica_tests.support.model.transactions import Ending, Transaction, transactions
from analytics_replica_tests.support.servers import Database

REFUSALS = (
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
    psycopg2.errors.UniqueViolation,
)
"""What other writers may do to a transaction; it is rolled back, and the writer goes on."""

_SESSION = "set lock_timeout = '300ms'; set deadlock_timeout = '50ms'"


class Gate:
    """Writers pass between transactions; while it is closed none has one open."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._closed = False
        self._waiting = 0
        self.ended = False
        self.ddl = threading.Event()
        """Set once tables may change their shape: a first copy refuses what nobody classified."""

    def passes(self) -> bool:
        """Waits while the gate is closed; False if the work is over."""
        with self._condition:
            self._waiting += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._closed or self.ended)
            self._waiting -= 1
        return not self.ended

    @contextmanager
    def closed(self, writers: int) -> Iterator[None]:
        """Inside, every writer stands at the gate."""
        with self._condition:
            self._closed = True
            arrived = self._condition.wait_for(lambda: self._waiting >= writers, timeout=60)
            assert arrived, "a writer does not come to the gate"
        try:
            yield
        finally:
            with self._condition:
                self._closed = False
                self._condition.notify_all()

    def end(self) -> None:
        """Lets no writer through any more."""
        with self._condition:
            self.ended = True
            self._condition.notify_all()


class Writer(threading.Thread):
    """One writer with a connection and a stream of transactions of its own."""

    def __init__(
        self, production: Database, tables: Sequence[ModelTable], seed: str, gate: Gate
    ) -> None:
        super().__init__(name=f"writer {seed}")
        self.production = production
        self.stream = transactions(tables, seed)
        self.gate = gate
        self.ends: Counter[str] = Counter()
        self.failed: BaseException | None = None
        self._prepared = f"{production.name} {seed}"

    def run(self) -> None:
        """Executes transactions until the gate ends it; remembers what it did not expect."""
        try:
            opened = psycopg2.connect(self.production.dsn())
            try:
                with opened.cursor() as cursor:
                    cursor.execute(_SESSION)
                    opened.commit()
                    while self.gate.passes():
                        self._step(cursor)
            finally:
                opened.close()
        except BaseException as cause:  # noqa: BLE001 - the test's thread raises it
            self.failed = cause

    def _step(self, cursor: Any) -> None:
        """One transaction; a prepared one is decided after another was tried."""
        transaction = next(self.stream)
        if transaction.ddl and not self.gate.ddl.is_set():
            return
        ended = self._execute(cursor, transaction)
        if ended not in (Ending.COMMIT_PREPARED, Ending.ROLLBACK_PREPARED):
            return
        between = next(self.stream)
        if between.ending in (Ending.COMMIT, Ending.ROLLBACK) and not between.ddl:
            self._execute(cursor, between)
        cursor.connection.autocommit = True
        cursor.execute(f"{ended.value} %s", (self._prepared,))
        cursor.connection.autocommit = False

    def _execute(self, cursor: Any, transaction: Transaction) -> Ending | None:
        """How the transaction ended; None if others did not let it."""
        opened, ending = cursor.connection, transaction.ending
        try:
            for block in transaction.blocks:
                cursor.execute("savepoint block")
                for statement, values in block.statements:
                    cursor.execute(statement, values)
                cursor.execute(f"{'release' if block.kept else 'rollback to'} savepoint block")
            if ending in (Ending.COMMIT_PREPARED, Ending.ROLLBACK_PREPARED):
                cursor.execute("prepare transaction %s", (self._prepared,))
        except REFUSALS as refusal:
            opened.rollback()
            self.ends[type(refusal).__name__] += 1
            return None
        if ending is Ending.ROLLBACK:
            opened.rollback()
        else:
            opened.commit()
        self.ends["ddl" if transaction.ddl else ending.value] += 1
        return ending


@contextmanager
def writing(
    production: Database, tables: Sequence[ModelTable], seed: int, count: int
) -> Iterator[tuple[Gate, list[Writer]]]:
    """Writers at work; when the block ends they have stopped, and none of them failed."""
    gate = Gate()
    writers = [Writer(production, tables, f"{seed}/{n}", gate) for n in range(count)]
    for writer in writers:
        writer.start()
    try:
        yield gate, writers
    finally:
        gate.end()
        for writer in writers:
            writer.join(60)
        _decide_prepared(production)
    failures = [(w.name, w.failed) for w in writers if w.failed is not None]
    assert not failures, failures


def _decide_prepared(production: Database) -> None:
    """Rolls back what a failed writer left prepared: the database could not be dropped."""
    found = "select gid from pg_prepared_xacts where database = current_database()"
    opened = psycopg2.connect(production.dsn())
    opened.autocommit = True
    with opened.cursor() as cursor:
        for (gid,) in production.rows(found):
            cursor.execute("rollback prepared %s", (gid,))
    opened.close()
