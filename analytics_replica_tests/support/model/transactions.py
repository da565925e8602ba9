"""Random transactions: what they do, what of it is rolled back, and how they end.

Here: planning them by a seed; pure, so that a writer's stream does not depend on the others. Not
here: single operations (operations.py), executing (writers.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from analytics_replica_tests.support.model import operations
from analytics_replica_tests.support.model.accounts import transfer
from analytics_replica_tests.support.model.operations import Statement
from analytics_replica_tests.support.model.tables import ModelTable


class Ending(Enum):
    """How a transaction ends; prepared ones end after the writer did something else."""

    COMMIT = "commit"
    ROLLBACK = "rollback"
    COMMIT_PREPARED = "commit prepared"
    ROLLBACK_PREPARED = "rollback prepared"


@dataclass(frozen=True)
class Block:
    """Statements under one savepoint, which is released, or rolled back to."""

    statements: tuple[Statement, ...]
    kept: bool


@dataclass(frozen=True)
class Transaction:
    """Blocks in order, and the end; `ddl` says that one of them changes a table's shape."""

    blocks: tuple[Block, ...]
    ending: Ending
    ddl: bool = False


_ENDINGS = {
    Ending.COMMIT: 80,
    Ending.ROLLBACK: 8,
    Ending.COMMIT_PREPARED: 8,
    Ending.ROLLBACK_PREPARED: 4,
}


def transactions(tables: Sequence[ModelTable], seed: str) -> Iterator[Transaction]:
    """A stream without end; the same for the same tables and seed."""
    rng = random.Random(seed)
    while True:
        if rng.random() < 0.01:
            yield _ddl(tables, rng)
        else:
            blocks = tuple(_block(tables, rng) for _ in range(rng.randint(1, 4)))
            (ending,) = rng.choices(list(_ENDINGS), list(_ENDINGS.values()))
            yield Transaction(blocks, ending)


def _block(tables: Sequence[ModelTable], rng: random.Random) -> Block:
    chosen = rng.random()
    if chosen < 0.3:
        statements = transfer(rng)
    elif chosen < 0.305:
        both = " , ".join(t.in_statement for t in rng.sample(tables, 2))
        statements = [(f"truncate {both} cascade", ())]
    else:
        statements = operations.operation(rng.choice(tables), rng)
    return Block(tuple(statements), kept=rng.random() > 0.12)


def _ddl(tables: Sequence[ModelTable], rng: random.Random) -> Transaction:
    """A change of a table's shape, together with changes of its rows."""
    table = rng.choice(tables)
    around = [operations.operation(table, rng) for _ in range(2)]
    steps = (around[0], operations.add_column(table, rng), around[1])
    return Transaction(tuple(Block(tuple(s), kept=True) for s in steps), Ending.COMMIT, ddl=True)
