"""The shop's service desk: tickets are opened and closed; the books are tidied up.

Here: one function for each transaction; it leaves commit or rollback to the caller. Not here:
which one comes next (demo.traffic).
"""

from __future__ import annotations

from typing import Final

from analytics_replica.demo.shop.people import spelled_phone
from analytics_replica.demo.shop.world import Cursor, World

_OPEN: Final = """
insert into shop.support_tickets (customer_id, email, subject, body, status, opened_at)
values (%s, %s, %s, %s, 'open', %s)
returning id
"""
_CLOSE: Final = "update shop.support_tickets set status = %s, closed_at = %s where id = %s"
_REFILL_REFUNDS: Final = """
create temporary table kept_refund as select * from shop.refunds;
truncate shop.refunds;
insert into shop.refunds select * from kept_refund;
drop table kept_refund
"""


def open_ticket(world: World, cursor: Cursor) -> None:
    """A customer writes, with more about themselves than a form should hold."""
    who = world.newcomer()
    phone = spelled_phone(who.phone, who.style)
    body = world.one_of(
        (
            f"Hello,\nplease call me at {phone}.\nRegards, {who.full_name}",
            f"My card {who.card} was charged twice! {who.email}",
            f"I moved to {who.line1}, {who.postcode} {who.city}. {who.full_name}",
            f"Security word is {who.remark}, reach me under {phone}",
        )
    )
    subject = world.one_of(("Where is my parcel?", "Refund", f"Invoice - {who.full_name}"))
    customer = world.one_of(world.customers)
    cursor.execute(_OPEN, (customer, who.email, subject, body, world.now))
    (ticket,) = cursor.fetchone() or (0,)
    world.once_committed(lambda: world.open_tickets.append(ticket))


def close_ticket(world: World, cursor: Cursor) -> None:
    """The desk answers the last word."""
    if not world.open_tickets:
        return open_ticket(world, cursor)
    ticket = world.take(world.open_tickets)
    status = world.one_of(("closed", "Closed", "solved"))
    return cursor.execute(_CLOSE, (status, world.now, ticket))


def refill_refunds(world: World, cursor: Cursor) -> None:
    """Bookkeeping empties a table and loads it again: TRUNCATE and inserts in one transaction."""
    del world
    cursor.execute(_REFILL_REFUNDS)
