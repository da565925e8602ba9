"""What writers do to a random table: statements, decided before anything is executed.

Here: one function for each operation; pure functions of the table and the random numbers, so that
a seed always gives the same statements. Not here: transactions (transactions.py), executing them
(writers.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from analytics_replica_tests.support.model.tables import ModelColumn, ModelTable
from analytics_replica_tests.support.model.values import KINDS, ROWS, key_value

Statement = tuple[str, tuple[Any, ...]]
Operation = Callable[[ModelTable, random.Random], list[Statement]]


def insert(table: ModelTable, rng: random.Random) -> list[Statement]:
    """One row, unless its key is there."""
    return [_insert(table, rng, rng.randrange(ROWS))]


def update(table: ModelTable, rng: random.Random) -> list[Statement]:
    """Some columns of one row; the others, also those stored out of line, stay as they are."""
    changed = rng.sample(table.others, rng.randint(1, len(table.others)))
    return [_update(table, changed, rng)]


def update_beside(table: ModelTable, rng: random.Random) -> list[Statement]:
    """One small column: the large ones beside it are not logged."""
    small = [c for c in table.others if c.kind != "toast"]
    return [_update(table, [rng.choice(small)], rng)]


def update_all(table: ModelTable, rng: random.Random) -> list[Statement]:
    """A column of every row."""
    column = rng.choice(table.others)
    return [(f"update {table.in_statement} set {_set([column])}", (_value(column, rng),))]


def delete(table: ModelTable, rng: random.Random) -> list[Statement]:
    """One row."""
    where, key = _where(table, rng)
    return [(f"delete from {table.in_statement} where {where}", key)]


def delete_and_reinsert(table: ModelTable, rng: random.Random) -> list[Statement]:
    """A row goes and another with the same key comes, in one transaction."""
    number = rng.randrange(ROWS)
    where, key = (_same_key(table), _key(table, number)) if table.key else _where(table, rng)
    gone = (f"delete from {table.in_statement} where {where}", key)
    return [gone, _insert(table, rng, number)]


def change_key(table: ModelTable, rng: random.Random) -> list[Statement]:
    """A row gets another key, if that is free; sometimes other columns change with it."""
    old, new = rng.sample(range(ROWS), 2)
    also = rng.sample(table.others, rng.randint(0, 1))
    return [_move(table, old, new, also, rng)]


def swap_keys(table: ModelTable, rng: random.Random) -> list[Statement]:
    """Two rows exchange their keys by way of a third key that nobody else uses."""
    first, second = rng.sample(range(ROWS), 2)
    away = ROWS + rng.randrange(10**6)
    steps = ((first, away), (second, first), (away, second))
    return [_move(table, old, new, [], rng) for old, new in steps]


def truncate(table: ModelTable, rng: random.Random) -> list[Statement]:
    """The whole table; half of the times with its counters restarted, mostly filled again."""
    how = rng.choice(("restart identity", "continue identity"))
    again = [insert(table, rng) for _ in range(rng.randint(0, 5))]
    return [(f"truncate {table.in_statement} {how}", ()), *(s for one in again for s in one)]


def add_column(table: ModelTable, rng: random.Random) -> list[Statement]:
    """A nullable column that nobody classified."""
    number = rng.randint(1, 3)
    return [(f"alter table {table.in_statement} add column if not exists added_{number} text", ())]


def widen(table: ModelTable, rng: random.Random) -> list[Statement]:
    """An integer becomes a bigint; again is harmless. Production rewrites the table unlogged.

    PostgreSQL refuses this for a column that a publication lists, so the DBA takes the table out of
    it and puts it back, in one transaction; writers wait meanwhile.
    """
    column = rng.choice([c for c in table.others if c.kind == "int"]).in_statement
    change = (f"alter table {table.in_statement} alter column {column} type bigint", ())
    if not table.listed:
        return [change]
    listed = ", ".join(c.in_statement for c in table.columns)
    publication = "alter publication analytics_replica"
    return [
        (f"lock table {table.in_statement} in access exclusive mode", ()),
        (f"{publication} drop table {table.in_statement}", ()),
        change,
        (f"{publication} add table {table.in_statement} ({listed})", ()),
    ]


EVERYWHERE: Final[Mapping[Operation, int]] = {
    insert: 30,
    update: 25,
    update_beside: 15,
    update_all: 1,
    delete: 8,
    delete_and_reinsert: 6,
    truncate: 1,
}
ON_KEYS: Final[Mapping[Operation, int]] = {change_key: 10, swap_keys: 6}
"""How often each operation comes, in parts of all; DDL comes in transactions of its own."""


def operation(table: ModelTable, rng: random.Random) -> list[Statement]:
    """A random operation on the table."""
    weighed = {**EVERYWHERE, **(ON_KEYS if table.key else {})}
    (chosen,) = rng.choices(list(weighed), list(weighed.values()))
    return chosen(table, rng)


def _insert(table: ModelTable, rng: random.Random, number: int) -> Statement:
    """Where a row has no key, sometimes several that are equal."""
    columns = [*table.key, *table.others]
    names = ", ".join(c.in_statement for c in columns)
    values = (*_key(table, number), *(_value(c, rng) for c in table.others))
    times = 1 if table.key else rng.randint(1, 3)
    row = f"({', '.join(['%s'] * len(columns))})"
    rows = ", ".join([row] * times)
    into = f"insert into {table.in_statement} ({names}) values {rows} on conflict do nothing"
    return into, values * times


def _update(table: ModelTable, changed: Sequence[ModelColumn], rng: random.Random) -> Statement:
    where, key = _where(table, rng)
    values = tuple(_value(c, rng) for c in changed)
    return f"update {table.in_statement} set {_set(changed)} where {where}", (*values, *key)


def _move(
    table: ModelTable, old: int, new: int, also: Sequence[ModelColumn], rng: random.Random
) -> Statement:
    changed = _set([*table.key, *also])
    is_free = f"not exists (select from {table.in_statement} where {_same_key(table)})"
    statement = f"update {table.in_statement} set {changed} where {_same_key(table)} and {is_free}"
    values = tuple(_value(c, rng) for c in also)
    return statement, (*_key(table, new), *values, *_key(table, old), *_key(table, new))


def _where(table: ModelTable, rng: random.Random) -> Statement:
    """A row by its key; without one, the rows at some places."""
    if table.key:
        return _same_key(table), _key(table, rng.randrange(ROWS))
    place = f"select ctid from {table.in_statement} order by ctid offset %s limit %s"
    return f"ctid = any (array({place}))", (rng.randrange(2 * ROWS), rng.randint(1, 2))


def _same_key(table: ModelTable) -> str:
    return " and ".join(f"{c.in_statement} = %s" for c in table.key)


def _key(table: ModelTable, number: int) -> tuple[Any, ...]:
    return tuple(key_value(c.kind, number) for c in table.key)


def _set(columns: Sequence[ModelColumn]) -> str:
    return ", ".join(f"{c.in_statement} = %s" for c in columns)


def _value(column: ModelColumn, rng: random.Random) -> Any:
    return None if rng.random() < 0.15 else KINDS[column.kind].draw(rng)
