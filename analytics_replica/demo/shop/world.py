"""What the shop's staff and customers have before their eyes: who and what they can act on.

Here: the ids known at the start of a run, chance, time, and what becomes known once a transaction
is committed. Not here: the transactions (sales, accounts, catalogue, support), their mix (traffic).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Final, TypeVar

import psycopg2.extensions

from analytics_replica.demo.shop.people import Person, person
from analytics_replica.domain.clock import Clock

Cursor = psycopg2.extensions.cursor
T = TypeVar("T")

RECENT_ORDERS: Final = 4_000
"""Only the newest orders still move; older ones are history."""

NEWCOMERS: Final = (5_000_000, 10_000_000)
"""The numbers of people who come with the traffic; `fill` stays below them."""


class Stage(StrEnum):
    """How far an order got."""

    NEW = "new"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"


SPELLINGS: Final = {
    Stage.NEW: ("new", "NEW", "placed"),
    Stage.PAID: ("paid", "PAID", "Paid ", "payment received"),
    Stage.SHIPPED: ("shipped", "SHIPPED", "Shipped", "in transit"),
    Stage.DELIVERED: ("delivered", "Delivered", "DELIVERED", "completed"),
}
"""How the shop's programs, of several ages, write each stage into `shop.orders.status`."""

# whatever moved since must not move again from an old list, so ids are read anew for each run
_ORDERS: Final = "select id::text, status from shop.orders order by placed_at desc, id limit %s"
_PRODUCTS: Final = "select id, price from shop.products order by id"
_CUSTOMERS: Final = "select id from shop.customers order by id"
_LEGACY: Final = "select legacy_key from crm.legacy_users order by legacy_key"
_TICKETS: Final = "select id from shop.support_tickets where status = 'open' order by id"
# grows with every order that is placed, so a run never draws the same ids as an earlier one
_STATE: Final = "select sum(last_value) from pg_sequences where schemaname = 'shop'"


@dataclass
class World:
    """The ids that a run may act on. Changes that are not committed leave it as it was."""

    seed: int
    chance: Random
    clock: Clock
    customers: list[int]
    products: list[tuple[int, Decimal]]
    orders: dict[Stage, list[str]]
    legacy_keys: list[str]
    open_tickets: list[int]
    _promised: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: Cursor, seed: int, clock: Clock) -> World:
        """The shop as it is now; the same seed and the same shop give the same chance."""
        stage_of = {spelt: stage for stage, all_spelt in SPELLINGS.items() for spelt in all_spelt}
        orders: dict[Stage, list[str]] = {stage: [] for stage in Stage}
        cursor.execute(_ORDERS, (RECENT_ORDERS,))
        for order, status in cursor.fetchall():
            if status in stage_of:
                orders[stage_of[status]].append(order)
        cursor.execute(_STATE)
        (state,) = cursor.fetchone() or (0,)
        cursor.execute(_PRODUCTS)
        products = [(int(product), Decimal(price)) for product, price in cursor.fetchall()]
        return cls(
            seed=seed,
            chance=Random(f"{seed}/{state}"),
            clock=clock,
            customers=_column(cursor, _CUSTOMERS, int),
            products=products,
            orders=orders,
            legacy_keys=_column(cursor, _LEGACY, str),
            open_tickets=_column(cursor, _TICKETS, int),
        )

    @property
    def now(self) -> datetime:
        """The moment that the next rows carry."""
        return self.clock.now()

    def one_of(self, choices: Sequence[T]) -> T:
        """One of the choices, each equally likely."""
        return self.chance.choice(choices)

    def one_in(self, sides: int) -> bool:
        """True once in so many times."""
        return self.chance.randrange(sides) == 0

    def newcomer(self) -> Person:
        """Somebody whom the shop did not know before."""
        return person(self.chance.randrange(*NEWCOMERS), self.seed)

    def new_order_id(self) -> str:
        """A key for an order of this moment: a version 7 UUID, which begins with the time."""
        milliseconds = round(self.now.timestamp() * 1000)
        drawn = self.chance.getrandbits(74)
        high, low = drawn >> 62, drawn & (1 << 62) - 1
        key = milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
        return str(uuid.UUID(int=key))

    def take(self, among: list[T]) -> T:
        """One of the list, which leaves it if the transaction is committed."""
        taken = self.chance.choice(among)
        self.once_committed(lambda: _discard(among, taken))
        return taken

    def once_committed(self, then: Callable[[], None]) -> None:
        """Notes what becomes true when the running transaction is committed."""
        self._promised.append(then)

    def mark(self) -> int:
        """A place to go back to with `forget_since`, like a savepoint."""
        return len(self._promised)

    def forget_since(self, mark: int) -> None:
        """The work since this mark was rolled back."""
        del self._promised[mark:]

    def committed(self) -> None:
        """The transaction was committed: all that it promised is true now."""
        for then in self._promised:
            then()
        self._promised.clear()

    def rolled_back(self) -> None:
        """The transaction was rolled back: nothing of it happened."""
        self._promised.clear()


def _discard(among: list[T], taken: T) -> None:
    """Removes it in one step; the order of the list changes, the same way on every run."""
    if taken in among:
        place = among.index(taken)
        among[place] = among[-1]
        among.pop()


def _column(cursor: Cursor, query: str, kind: Callable[[str], T]) -> list[T]:
    cursor.execute(query)
    return [kind(value) for (value,) in cursor.fetchall()]
