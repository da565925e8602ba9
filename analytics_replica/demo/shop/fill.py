"""Filling the shop with rows, the same ones for the same seed, scale and moment.

Here: how many rows, in which order, and the people behind them. The rows themselves are made by
the server from hashed numbers (filling/*.sql): nothing but the people travels, which is what makes
scale 1 a matter of seconds. Not here: what happens in the shop afterwards (demo.traffic).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Final

from analytics_replica.demo.shop.catalogue import description
from analytics_replica.demo.shop.people import (
    Person,
    person,
    spelled_card,
    spelled_email,
    spelled_phone,
)
from analytics_replica.demo.shop.schema import event_months
from analytics_replica.demo.shop.world import Cursor
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import compose, name, number

HISTORY: Final = timedelta(weeks=78)
"""Orders go back this far: about eighteen months."""

_DRAFTS_OF_PEOPLE: Final = ("draft_customer", "draft_legacy")
_DRAFTS_OF_ORDERS: Final = ("draft_order", "draft_order_line")
_ACCOUNTS: Final = (
    "shop.customers",
    "shop.customer_profiles",
    "crm.legacy_users",
    "shop.addresses",
)
_CATALOGUE: Final = ("shop.product_categories", "shop.products")
_SALES: Final = (
    "shop.orders",
    "shop.order_lines",
    "shop.order_events",
    "shop.payments",
    "shop.refunds",
    "shop.shipments",
    "shop.support_tickets",
)
TABLES: Final = (*_ACCOUNTS, *_CATALOGUE, *_SALES)


@dataclass(frozen=True)
class Sizes:
    """How many rows the shop begins with. `legacy_users` is even: every second one overlaps."""

    customers: int
    legacy_users: int
    products: int
    orders: int
    tickets: int

    @classmethod
    def at(cls, scale: float) -> Sizes:
        """The sizes at this scale; 1 is 20,000 customers and 100,000 orders."""
        return cls(
            customers=max(40, round(20_000 * scale)),
            legacy_users=2 * max(6, round(3_000 * scale)),
            products=max(20, round(2_000 * scale)),
            orders=max(200, round(100_000 * scale)),
            tickets=max(20, round(8_000 * scale)),
        )

    @property
    def old_customers(self) -> int:
        """Customers whose account is older than the history of orders."""
        return self.customers * 7 // 10


def fill(
    connection: Connection,
    seed: int,
    scale: float,
    now: datetime,
    progress: Callable[[str, int], None],
) -> None:
    """Fills the shop's empty tables with history up to `now`; equal arguments give equal rows.

    `progress` hears each table's name and number of rows when it is filled. Needs a superuser.
    Nothing is committed here, so an interrupted start leaves the database empty.
    """
    sizes = Sizes.at(scale)
    with connection.cursor() as cursor:
        # Foreign keys hold by how the rows are made (a test looks at each); checking them again
        # row by row took 4 s more at scale 1 (2026-11-21). The triggers work for everybody else.
        cursor.execute("set local session_replication_role = replica")
        cursor.execute("set local jit = off")
        cursor.execute("set local work_mem = '128MB'")
        cursor.execute("set local temp_buffers = '128MB'")
        cursor.execute(str(compose(_statement("chance"), seed=number(seed))))
        cursor.execute(_statement("settings"), _settings(sizes, now.astimezone(UTC)))
        cursor.execute(_statement("people"))
        _copy_people(cursor, sizes, seed)
        _copy_prose(cursor, sizes, seed)
        for draft in _DRAFTS_OF_PEOPLE:
            _make_draft(cursor, draft)
        for table in (*_ACCOUNTS, *_CATALOGUE):
            _fill_table(cursor, table, progress)
        for draft in _DRAFTS_OF_ORDERS:
            _make_draft(cursor, draft)
        for table in _SALES:
            _fill_table(cursor, table, progress)
        cursor.execute(_statement("indexes"))
        cursor.execute(_statement("sequences"))


def _settings(sizes: Sizes, now: datetime) -> dict[str, object]:
    now = now.replace(microsecond=0)
    events_from, _ = event_months(now)
    return {
        "now": now,
        "history_from": now - HISTORY,
        "events_from": f"{events_from} 00:00:00+00",
        "customers": sizes.customers,
        "old_customers": sizes.old_customers,
        "legacy_users": sizes.legacy_users,
        "legacy_step": sizes.old_customers // (sizes.legacy_users // 2),
        "products": sizes.products,
        "orders": sizes.orders,
        "tickets": sizes.tickets,
    }


def _fill_table(cursor: Cursor, table: str, progress: Callable[[str, int], None]) -> None:
    cursor.execute(_statement(table.partition(".")[2]))
    progress(table, cursor.rowcount)


def _make_draft(cursor: Cursor, draft: str) -> None:
    cursor.execute(_statement(draft))
    cursor.execute(str(compose("analyze {draft}", draft=name(draft))))


def _statement(file: str) -> str:
    return resources.files(__package__).joinpath("filling", f"{file}.sql").read_text()


def _copy_people(cursor: Cursor, sizes: Sizes, seed: int) -> None:
    """Everybody behind the customers and the old CRM's users, as temporary table `person`."""
    numbers = range(1, sizes.customers + sizes.legacy_users + 1)
    lines = io.StringIO("".join(_lines(person(n, seed) for n in numbers)))
    cursor.copy_expert("copy person from stdin", lines)
    cursor.execute("analyze person")


def _copy_prose(cursor: Cursor, sizes: Sizes, seed: int) -> None:
    """The products' descriptions, as temporary table `prose`."""
    numbers = range(1, sizes.products + 1)
    lines = io.StringIO("".join(f"{n}\t{description(n, seed)}\n" for n in numbers))
    cursor.copy_expert("copy prose from stdin", lines)
    cursor.execute("analyze prose")


def _lines(people: Iterator[Person]) -> Iterator[str]:
    """Each person in the order of the columns of filling/people.sql; no value holds a tab."""
    for p in people:
        yield (
            "\t".join(
                (
                    str(p.number),
                    p.full_name,
                    p.legacy_name,
                    p.email,
                    p.other_email,
                    spelled_email(p.email, p.style),
                    spelled_email(p.email, p.style // 7),
                    spelled_phone(p.phone, p.style),
                    spelled_phone(p.phone, p.style // 7),
                    spelled_card(p.card, p.style),
                    p.line1,
                    p.city,
                    p.postcode,
                    p.country,
                    p.born.isoformat(),
                    p.remark,
                    p.parcel,
                )
            )
            + "\n"
        )
