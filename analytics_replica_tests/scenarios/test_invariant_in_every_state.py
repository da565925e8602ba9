"""While eight writers move money, every state of staging that can be read is one of production.

Oracles: what the writers themselves know of each of their transactions (where the log stood before
and after its commit), and sums over three tables that each transaction keeps. A reader looks at
staging all the time; every applied state is judged before the next. Not here: random tables and
statements (test_model.py).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.errors
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.servers import Database

WRITERS = 8
APPLIES = 12
ACCOUNTS = 30
EACH = 1_000
PAUSE_S = 0.02
"""Between two transactions of a writer: the two cores must capture and apply, too."""

BETWEEN = 40
"""Transactions that are committed between two applies, at least."""

DDL = f"""
create table here (id bigint primary key, owner int not null, amount int not null, note text);
create table there (id bigint primary key, owner int not null, amount int not null, note text);
create table moves (writer int, number int, owner int, amount int);
alter table moves replica identity full;
alter table here alter column note set storage external;
alter table there alter column note set storage external;
insert into here select n, n, {EACH}, repeat('h', 3000) from generate_series(1, {ACCOUNTS}) n;
insert into there select n, n, {EACH}, repeat('t', 3000) from generate_series(1, {ACCOUNTS}) n
"""

KEEP: Columns = dict.fromkeys(("id", "owner", "amount", "note"), "keep")
RULES: dict[str, Columns] = {
    "public.here": KEEP,
    "public.there": KEEP,
    "public.moves": dict.fromkeys(("writer", "number", "owner", "amount"), "keep"),
}

WRONG = f"""
-- in every state: nothing is lost or made, each owner has one row in both tables, whose amounts are
-- what the moves say, no value that was not logged is lost, and no writer's move is skipped
with moved as (select owner, sum(amount) as amount from {{schema}}.moves group by owner)
select 'the sum' where (select sum(amount) from {{schema}}.here)
    + (select sum(amount) from {{schema}}.there) <> {2 * EACH * ACCOUNTS}
union all
select 'owner ' || owner from generate_series(1, {ACCOUNTS}) owner
left join {{schema}}.here h using (owner) left join {{schema}}.there t using (owner)
left join moved m using (owner)
where (h.amount, t.amount) is distinct from
    ({EACH} - coalesce(m.amount, 0), {EACH} + coalesce(m.amount, 0))
    or (h.note, t.note) is distinct from (repeat('h', 3000), repeat('t', 3000))
union all
select 'rows' where (select count(*) from {{schema}}.here) <> {ACCOUNTS}
    or (select count(*) from {{schema}}.there) <> {ACCOUNTS}
union all
select 'writer ' || writer from {{schema}}.moves
group by writer having count(*) <> max(number) or count(distinct number) <> max(number)
"""

NUMBERS = "select writer, max(number) from {schema}.moves group by writer"


@dataclass(frozen=True)
class Move:
    """A committed transaction: its commit stands in the log between these two places."""

    after: Lsn
    upto: Lsn


@dataclass(eq=False)
class Writer(threading.Thread):
    """Moves amounts between the tables of random owners, and rows to other keys."""

    production: Database
    number: int
    over: threading.Event
    moves: list[Move] = field(default_factory=list)
    failed: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(name=f"writer {self.number}")

    def run(self) -> None:
        """Writes until it is over; remembers what it did not expect."""
        rng = random.Random(self.number)
        try:
            opened = psycopg2.connect(
                self.production.dsn(), options="-c deadlock_timeout=50ms -c lock_timeout=2s"
            )
            while not self.over.wait(PAUSE_S):
                self._move(opened, rng)
            opened.close()
        except BaseException as cause:  # noqa: BLE001 - the test's thread raises it
            self.failed = cause

    def _move(self, opened: Any, rng: random.Random) -> None:
        try:
            with opened.cursor() as cursor:
                for statement, values in transaction(rng, self.number, len(self.moves) + 1):
                    cursor.execute(statement, values)
                after = position(cursor)
                if rng.random() < 0.1:
                    opened.rollback()
                    return
                opened.commit()
                self.moves.append(Move(after, position(cursor)))
                opened.commit()
        except (psycopg2.errors.DeadlockDetected, psycopg2.errors.LockNotAvailable):
            opened.rollback()


def transaction(
    rng: random.Random, writer: int, number: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The statements of one move, in an order of its own; any half of them breaks a sum."""
    owner, other, amount = rng.randint(1, ACCOUNTS), rng.randint(1, ACCOUNTS), rng.randint(-50, 50)
    for locked in sorted((owner, other)):  # a row that is deleted and there anew is missed else
        yield "select pg_advisory_xact_lock(%s)", (locked,)
    parts = [
        ("update here set amount = amount - %s where owner = %s", (amount, owner)),
        ("update there set amount = amount + %s where owner = %s", (amount, owner)),
        ("insert into moves values (%s, %s, %s, %s)", (writer, number, owner, amount)),
    ]
    rng.shuffle(parts)
    yield from parts
    kind = rng.choice(("new key", "row anew", "keys exchanged", "amount only"))
    if kind == "new key":
        yield "update here set id = %s where owner = %s", (rng.getrandbits(60), owner)
    if kind == "row anew":
        yield _ANEW, (owner, rng.getrandbits(60))
    if kind == "keys exchanged":
        yield "update here set id = -id where owner in (%s, %s)", (owner, other)
        yield _EXCHANGE, (owner, other, owner, other)


_ANEW = """
with gone as (delete from there where owner = %s returning *)
insert into there select %s, owner, amount, note from gone
"""

_EXCHANGE = """
-- two owners exchange their keys; those who meet themselves only have theirs negated
update here h set id = -o.id from here o
where h.owner in (%s, %s) and o.owner in (%s, %s) and o.owner <> h.owner
"""


def position(cursor: Any) -> Lsn:
    """Where production's log ends now."""
    cursor.execute("select pg_current_wal_insert_lsn()::text")
    return Lsn.parse(cursor.fetchone()[0])


@contextmanager
def writing(production: Database) -> Iterator[list[Writer]]:
    """Writers at work; when the block ends they have stopped, and none of them failed."""
    over = threading.Event()
    writers = [Writer(production, number, over) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        over.set()
        for writer in writers:
            writer.join(60)
    assert [w.failed for w in writers if w.failed is not None] == []


@dataclass(frozen=True)
class State:
    """What one snapshot of staging holds: up to where, and the last move of each writer."""

    position: Lsn
    last: frozenset[tuple[int, int]]

    def skips(self, writers: list[Writer]) -> list[str]:
        """The moves that this state has too early, or not although it should."""
        wrong = []
        for writer in writers:
            contained = dict(self.last).get(writer.number, 0)
            for number, move in enumerate(writer.moves, 1):
                if number <= contained and move.after >= self.position:
                    wrong.append(f"{writer.name}: {number} is from after {self.position}")
                if number > contained and move.upto <= self.position:
                    wrong.append(f"{writer.name}: {number} is missing at {self.position}")
        return wrong


def looked_at(warehouse: Database) -> State:
    """One snapshot of staging, in several queries; the invariant holds in it."""
    with warehouse.session() as cursor:
        cursor.execute("set transaction isolation level repeatable read read only")
        cursor.execute("select position::text from ops.ledger")
        found = Lsn.parse(cursor.fetchone()[0])
        cursor.execute(WRONG.format(schema="staging"))
        wrong = [row[0] for row in cursor.fetchall()]
        assert wrong == [], f"at {found}: {wrong}"
        cursor.execute(NUMBERS.format(schema="staging"))
        return State(found, frozenset(cursor.fetchall()))


class Reader(threading.Thread):
    """An analyst who looks at staging all the time."""

    def __init__(self, warehouse: Database) -> None:
        super().__init__(name="reader")
        self.warehouse = warehouse
        self.over = threading.Event()
        self.seen: set[State] = set()
        self.failed: BaseException | None = None

    def run(self) -> None:
        """Looks until it is over, or something is wrong."""
        try:
            while not self.over.wait(PAUSE_S):
                self.seen.add(looked_at(self.warehouse))
        except BaseException as cause:  # noqa: BLE001 - the test's thread raises it
            self.failed = cause


@contextmanager
def reading(warehouse: Database) -> Iterator[Reader]:
    """A reader at work; when the block ends, it never saw anything wrong."""
    reader = Reader(warehouse)
    reader.start()
    try:
        yield reader
    finally:
        reader.over.set()
        reader.join(60)
    assert reader.failed is None, reader.failed


def chain(pipeline: Pipeline) -> State:
    """Capture and apply, and what staging holds then."""
    captured = pipeline.capture()
    applied = apply_pending(pipeline.settings, SystemClock())
    assert applied.quarantined == {}
    assert applied.position == captured.position
    state = looked_at(pipeline.warehouse)
    assert state.position == applied.position
    return state


def wait_for_moves(writers: list[Writer]) -> None:
    """Waits until the writers have committed some more."""

    def moved() -> int:
        return sum(len(writer.moves) for writer in writers)

    enough = moved() + BETWEEN
    eventually(lambda: moved() >= enough, seconds=120)


@pytest.mark.slow
def test_every_state_of_staging_is_a_state_of_production_while_eight_write(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(DDL)
    made = pipeline(RULES, **{"landing.batch_rows": 200})
    made.prepare()
    with writing(production) as writers:
        applied = [chain(made)]
        with reading(made.warehouse) as reader:
            for _ in range(APPLIES):
                wait_for_moves(writers)
                applied.append(chain(made))
    applied.append(chain(made))
    assert len({state.position for state in applied}) == len(applied)
    assert len({state.position for state in reader.seen}) > 2
    assert [wrong for state in {*applied, *reader.seen} for wrong in state.skips(writers)] == []
    assert applied[-1].last == {(w.number, len(w.moves)) for w in writers}
    assert differences(production, made.warehouse, made.settings) == {}
    assert production.rows(WRONG.format(schema="public")) == []
