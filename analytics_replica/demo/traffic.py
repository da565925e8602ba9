"""What goes on in the shop: transactions over several tables, mixed as in real life.

Here: which transaction comes next, at which rate, and whether it is committed. The transactions
themselves are in demo.shop (sales, accounts, catalogue, support). Not here: the rows that the shop
begins with (demo.shop.fill).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import psycopg2
from psycopg2 import errors

from analytics_replica.demo.shop.accounts import (
    add_test_account,
    edit_customer,
    erase_customer,
    merge_legacy_user,
    move_address,
    rename_legacy_key,
    sign_up,
)
from analytics_replica.demo.shop.catalogue import redescribe_product, reprice_product
from analytics_replica.demo.shop.sales import (
    deliver_order,
    pay_order,
    place_order,
    refund_order,
    renumber_lines,
    ship_order,
)
from analytics_replica.demo.shop.support import close_ticket, open_ticket, refill_refunds
from analytics_replica.demo.shop.world import Cursor, World
from analytics_replica.domain.clock import Clock, SystemClock
from analytics_replica.postgres.connect import Connection, connect, refused

Transaction = Callable[[World, Cursor], None]

MIX: Final[Mapping[Transaction, int]] = {
    place_order: 260,
    pay_order: 220,
    ship_order: 130,
    deliver_order: 110,
    refund_order: 15,
    renumber_lines: 10,
    sign_up: 50,
    edit_customer: 60,
    move_address: 30,
    erase_customer: 8,
    add_test_account: 6,
    merge_legacy_user: 10,
    rename_legacy_key: 6,
    redescribe_product: 15,
    reprice_product: 30,
    open_ticket: 25,
    close_ticket: 20,
}
"""Every transaction and how many of about a thousand it makes."""

ROLLED_BACK_IN_ALL: Final = 50
"""One transaction in so many ends in a rollback, one more loses its second half to a savepoint."""

MIX_WITH_TRUNCATE: Final[Mapping[Transaction, int]] = {**MIX, refill_refunds: 2}

# two programs at the same rows: the shop gives way and goes on, as programs do
_CONFLICTS: Final = (
    errors.DeadlockDetected,
    errors.ForeignKeyViolation,
    errors.SerializationFailure,
    errors.UniqueViolation,
)


@dataclass(frozen=True)
class TrafficReport:
    """What a run did: transactions by their name, and how they ended."""

    committed: int
    rolled_back: int
    savepoints_rolled_back: int
    conflicts: int
    took: timedelta
    by_name: Mapping[str, int]

    @property
    def transactions(self) -> int:
        """All that were tried."""
        return self.committed + self.rolled_back + self.conflicts


@dataclass
class Traffic:
    """The shop's traffic. The same seed on the same database does the same, but for the clock.

    With `with_truncate`, `shop.refunds` is emptied and loaded again now and then.
    """

    dsn: str
    seed: int
    with_truncate: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def run(
        self, transactions: int, progress: Callable[[int], None] | None = None
    ) -> TrafficReport:
        """So many transactions as fast as they go; `progress` hears the number now and then."""
        with self._desk() as desk:
            for done in range(1, transactions + 1):
                desk.serve()
                if progress is not None and (done % 100 == 0 or done == transactions):
                    progress(done)
            return desk.report()

    def run_for(
        self,
        duration: timedelta | None,
        rate_per_second: float,
        stop: threading.Event | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> TrafficReport:
        """Transactions at a steady rate, until `duration` is over or `stop` is set.

        Without a duration only `stop` ends it. If the server cannot keep the rate, transactions
        follow each other without a pause.
        """
        stop = stop or threading.Event()
        started = time.monotonic()
        ends = None if duration is None else started + duration.total_seconds()
        with self._desk() as desk:
            for done in itertools.count(1):
                due = started + done / rate_per_second
                if ends is not None and due > ends:
                    stop.wait(max(0.0, ends - time.monotonic()))
                    break
                if stop.wait(max(0.0, due - time.monotonic())):
                    break
                desk.serve()
                if progress is not None:
                    progress(done)
            return desk.report()

    @contextmanager
    def _desk(self) -> Iterator[_Desk]:
        # a shop's web server would wait for the disk; two thousand transactions need not
        opened = connect(self.dsn, application="shop", options="-c synchronous_commit=off")
        with closing(opened):
            try:
                with opened.cursor() as cursor:
                    world = World.read(cursor, self.seed, self.clock)
                opened.commit()
                yield _Desk(opened, world, MIX_WITH_TRUNCATE if self.with_truncate else MIX)
                _reach_the_disk(opened)
            except psycopg2.Error as cause:
                raise refused(cause, "the shop's traffic") from None


def _reach_the_disk(opened: Connection) -> None:
    """Waits until all commits are on disk, and so in the log that capture reads.

    A commit flushes all before it, if it waits and wrote anything: an empty message does both and
    changes no table.
    """
    with opened.cursor() as cursor:
        cursor.execute("set local synchronous_commit = on")
        cursor.execute("select pg_logical_emit_message(true, 'shop', '')")
    opened.commit()


class _Desk:
    """One session of the shop: does one transaction after the other."""

    def __init__(
        self, connection: Connection, world: World, mix: Mapping[Transaction, int]
    ) -> None:
        self._connection = connection
        self._world = world
        self._transactions = tuple(mix)
        self._weights = tuple(itertools.accumulate(mix.values()))
        self._ended: Counter[str] = Counter()
        self._by_name: Counter[str] = Counter()
        self._started = time.monotonic()

    def serve(self) -> None:
        """One transaction: mostly committed, sometimes given up, wholly or from a savepoint on."""
        fate = self._world.chance.randrange(ROLLED_BACK_IN_ALL)
        try:
            with self._connection.cursor() as cursor:
                self._do(cursor)
                if fate == 1:
                    self._do_and_take_back(cursor)
        except _CONFLICTS:
            self._end("conflicts")
            return
        self._end("rolled_back" if fate == 0 else "committed")

    def report(self) -> TrafficReport:
        """What was done so far."""
        return TrafficReport(
            committed=self._ended["committed"],
            rolled_back=self._ended["rolled_back"],
            savepoints_rolled_back=self._ended["savepoints"],
            conflicts=self._ended["conflicts"],
            took=timedelta(seconds=time.monotonic() - self._started),
            by_name=dict(self._by_name),
        )

    def _do(self, cursor: Cursor) -> None:
        (transaction,) = self._world.chance.choices(self._transactions, cum_weights=self._weights)
        transaction(self._world, cursor)
        self._by_name[transaction.__name__] += 1

    def _do_and_take_back(self, cursor: Cursor) -> None:
        mark = self._world.mark()
        cursor.execute("savepoint second_thoughts")
        self._do(cursor)
        cursor.execute("rollback to savepoint second_thoughts")
        self._world.forget_since(mark)
        self._ended["savepoints"] += 1

    def _end(self, how: str) -> None:
        if how == "committed":
            self._connection.commit()
            self._world.committed()
        else:
            self._connection.rollback()
            self._world.rolled_back()
        self._ended[how] += 1
