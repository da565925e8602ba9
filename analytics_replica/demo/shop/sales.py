"""The life of an order: placed, paid, shipped, delivered, refunded, its lines renumbered.

Here: one function for each transaction; it does its statements and leaves commit or rollback to
the caller. Not here: which one comes next (demo.traffic).
"""

from __future__ import annotations

from typing import Final

from psycopg2.extras import Json

from analytics_replica.demo.shop.people import person, spelled_card
from analytics_replica.demo.shop.world import SPELLINGS, Cursor, Stage, World

_PLACE: Final = """
insert into shop.orders
    (id, customer_id, legacy_key, status, currency, total, placed_at, updated_at)
values (%(order)s, %(customer)s, %(legacy_key)s, %(status)s, %(currency)s, 0, %(now)s, %(now)s)
"""
_LINES: Final = """
insert into shop.order_lines (order_id, line_no, product_id, quantity, unit_price, discount)
select %(order)s, line_no, p.id, quantity, p.price, discount
from unnest(%(products)s::bigint[], %(quantities)s::integer[], %(discounts)s::numeric[])
    with ordinality as line (product_id, quantity, discount, line_no)
join shop.products as p on p.id = line.product_id
"""
_TOTAL: Final = """
-- the total is the exact sum of the lines, rounded once
update shop.orders
set total = (
    select round(sum(quantity * unit_price * (1 - discount)), 2)
    from shop.order_lines where order_id = %(order)s
)
where id = %(order)s
"""
_EVENT: Final = """
insert into shop.order_events (order_id, kind, occurred_at, payload) values (%s, %s, %s, %s)
"""
_PAY: Final = """
insert into shop.payments
    (order_id, method, amount, currency, payer_email, card_number, status, paid_at)
select o.id, %(method)s, o.total, o.currency, c.email, %(card)s, %(status)s, %(now)s
from shop.orders as o
left join shop.customers as c on c.id = o.customer_id
where o.id = %(order)s
"""
_SHIP: Final = """
insert into shop.shipments (order_id, carrier, tracking_no, recipient, shipped_at)
select o.id, %(carrier)s, %(parcel)s, c.full_name, %(now)s
from shop.orders as o
left join shop.customers as c on c.id = o.customer_id
where o.id = %(order)s
"""
_DELIVER: Final = """
update shop.shipments set delivered_at = %s where order_id = %s and delivered_at is null
"""
_REFUND: Final = """
-- at most one refund per payment, so never more than was paid
insert into shop.refunds (payment_id, amount, reason, refunded_at)
select p.id, round(p.amount * %(part)s, 2), %(reason)s, %(now)s
from shop.payments as p
where
    p.order_id = %(order)s
    and lower(p.status) = 'captured'
    and not exists (select from shop.refunds as r where r.payment_id = p.id)
order by p.id
limit 1
"""
_STATUS: Final = "update shop.orders set status = %s, updated_at = %s where id = %s"
_RENUMBER: Final = """
update shop.order_lines set line_no = %(to)s where order_id = %(order)s and line_no = %(from)s
"""


def place_order(world: World, cursor: Cursor) -> None:
    """Somebody buys one to four products; a few orders know only the old CRM's key."""
    order = world.new_order_id()
    by_legacy_key = world.legacy_keys and world.one_in(15)
    cursor.execute(
        _PLACE,
        {
            "order": order,
            "customer": None if by_legacy_key else world.one_of(world.customers),
            "legacy_key": world.one_of(world.legacy_keys) if by_legacy_key else None,
            "status": world.one_of(SPELLINGS[Stage.NEW]),
            "currency": world.one_of(("EUR", "EUR", "EUR", "eur", "USD", "usd", "GBP", "gbp")),
            "now": world.now,
        },
    )
    products = world.chance.sample(world.products, k=world.one_of((1, 1, 2, 2, 3, 4)))
    lines = {
        "order": order,
        "products": [product for product, _ in products],
        "quantities": [world.one_of((1, 1, 1, 2, 3)) for _ in products],
        "discounts": [world.one_of(("0", "0", "0", "0.05", "0.125")) for _ in products],
    }
    cursor.execute(_LINES, lines)
    cursor.execute(_TOTAL, lines)
    channel = world.one_of(("web", "web", "app", "store"))
    _happened(world, cursor, order, "placed", channel=channel, ip="10.9.8.7")
    world.once_committed(lambda: world.orders[Stage.NEW].append(order))


def pay_order(world: World, cursor: Cursor) -> None:
    """An order is paid; one attempt in twenty fails and the order stays as it is."""
    if not world.orders[Stage.NEW]:
        return place_order(world, cursor)
    fails = world.one_in(20)
    order = world.one_of(world.orders[Stage.NEW]) if fails else world.take(world.orders[Stage.NEW])
    method = world.one_of(("card", "card", "card", "paypal", "invoice"))
    payer = person(world.chance.randrange(10_000), world.seed)
    cursor.execute(
        _PAY,
        {
            "order": order,
            "method": method,
            "card": spelled_card(payer.card, payer.style) if method == "card" else None,
            "status": "failed" if fails else world.one_of(("captured", "captured", "CAPTURED")),
            "now": world.now,
        },
    )
    if not fails:
        _reached(world, cursor, order, Stage.PAID)
    return None


def ship_order(world: World, cursor: Cursor) -> None:
    """A paid order leaves the house."""
    if not world.orders[Stage.PAID]:
        return place_order(world, cursor)
    order = world.take(world.orders[Stage.PAID])
    values = {
        "order": order,
        "carrier": world.one_of(("DHL", "dhl", "UPS", "PostNord", "GLS")),
        "parcel": world.newcomer().parcel,
        "now": world.now,
    }
    cursor.execute(_SHIP, values)
    return _reached(world, cursor, order, Stage.SHIPPED)


def deliver_order(world: World, cursor: Cursor) -> None:
    """A parcel arrives."""
    if not world.orders[Stage.SHIPPED]:
        return place_order(world, cursor)
    order = world.take(world.orders[Stage.SHIPPED])
    cursor.execute(_DELIVER, (world.now, order))
    return _reached(world, cursor, order, Stage.DELIVERED)


def refund_order(world: World, cursor: Cursor) -> None:
    """All or a part of the money goes back."""
    if not world.orders[Stage.DELIVERED]:
        return place_order(world, cursor)
    order = world.take(world.orders[Stage.DELIVERED])
    buyer = world.newcomer()
    partly = world.one_in(3)
    values = {
        "order": order,
        "part": "0.5" if partly else "1",
        "reason": world.one_of((None, "damaged", f"{buyer.full_name} called, see {buyer.email}")),
        "now": world.now,
    }
    cursor.execute(_REFUND, values)
    if not partly:
        cursor.execute(_STATUS, (world.one_of(("refunded", "Refunded")), world.now, order))
    return _happened(world, cursor, order, "refunded", channel="service", reason_code="R7")


def renumber_lines(world: World, cursor: Cursor) -> None:
    """The first two lines of an order change places: two keys are swapped in one transaction."""
    among = world.orders[Stage.NEW] or world.orders[Stage.DELIVERED]
    if not among:
        return place_order(world, cursor)
    order = world.one_of(among)
    cursor.execute("select count(*) from shop.order_lines where order_id = %s", (order,))
    if (cursor.fetchone() or (0,))[0] < 2:
        return place_order(world, cursor)
    # by way of a third number, as a primary key is checked row by row
    for old, new in ((1, 32_000), (2, 1), (32_000, 2)):
        cursor.execute(_RENUMBER, {"order": order, "from": old, "to": new})
    return None


def _reached(world: World, cursor: Cursor, order: str, stage: Stage) -> None:
    cursor.execute(_STATUS, (world.one_of(SPELLINGS[stage]), world.now, order))
    _happened(world, cursor, order, stage.value, channel="system")
    world.once_committed(lambda: world.orders[stage].append(order))


def _happened(world: World, cursor: Cursor, order: str, kind: str, **payload: str) -> None:
    cursor.execute(_EVENT, (order, kind, world.now, Json(payload)))
