"""What happens to people: they sign up, change, move, are merged, and are forgotten.

Here: one function for each transaction on customers and on the old CRM's users; it leaves commit
or rollback to the caller. Not here: which one comes next (demo.traffic).
"""

from __future__ import annotations

from typing import Final

from psycopg2.extras import Json

from analytics_replica.demo.shop.people import TEST_DOMAIN, spelled_email, spelled_phone
from analytics_replica.demo.shop.sales import place_order
from analytics_replica.demo.shop.world import Cursor, World

_CUSTOMER: Final = """
insert into shop.customers (email, full_name, phone, status, created_at, updated_at)
values (%s, %s, %s, %s, %s, %s)
returning id
"""
_PROFILE: Final = """
insert into shop.customer_profiles
    (customer_id, marketing_opt_in, birth_date, notes, attributes, updated_at)
values (%s, %s, %s, %s, %s, %s)
"""
_ADDRESS: Final = """
insert into shop.addresses (customer_id, kind, line1, city, postcode, country, updated_at)
values (%s, 'billing', %s, %s, %s, %s, %s)
"""
_EDIT: Final = "update shop.customers set phone = %s, email = %s, updated_at = %s where id = %s"
_EDIT_PROFILE: Final = """
update shop.customer_profiles
set notes = %s, marketing_opt_in = %s,
    attributes = coalesce(attributes, '{}') || %s::jsonb, updated_at = %s
where customer_id = %s
"""
_MOVE: Final = """
update shop.addresses set line1 = %s, line2 = null, city = %s, postcode = %s, updated_at = %s
where customer_id = %s
"""
_BLANK_PAYMENTS: Final = """
update shop.payments set payer_email = null, card_number = null
where order_id in (select id from shop.orders where customer_id = %s)
"""
_BLANK_SHIPMENTS: Final = """
update shop.shipments set recipient = null
where order_id in (select id from shop.orders where customer_id = %s)
"""
_BLANK_TICKETS: Final = """
update shop.support_tickets set email = null, subject = null, body = null where customer_id = %s
"""
_ERASE: Final = "delete from shop.customers where id = %s"
_ADOPT: Final = """
update shop.orders set customer_id = %s, updated_at = %s
where legacy_key = %s and customer_id is null
"""
_FORGET_LEGACY: Final = "delete from crm.legacy_users where legacy_key = %s"
_RENAME_LEGACY: Final = "update crm.legacy_users set legacy_key = %s where legacy_key = %s"
_RENAME_IN_ORDERS: Final = "update shop.orders set legacy_key = %s where legacy_key = %s"


def sign_up(world: World, cursor: Cursor) -> None:
    """Somebody new opens an account, with profile and address."""
    who = world.newcomer()
    now = world.now
    email, phone = spelled_email(who.email, who.style), spelled_phone(who.phone, who.style)
    cursor.execute(_CUSTOMER, (email, who.full_name, phone, "active", now, now))
    (customer,) = cursor.fetchone() or (0,)
    attributes = {"tier": "bronze", "source": world.one_of(("web", "app")), "phone": phone}
    opted = world.one_of(("yes", "Y", "true", "1", "opted-in", "no", "N", None))
    note = world.one_of((None, "", f"friend of {who.full_name}, hint {who.remark}"))
    cursor.execute(_PROFILE, (customer, opted, who.born, note, Json(attributes), now))
    cursor.execute(_ADDRESS, (customer, who.line1, who.city, who.postcode, who.country, now))
    world.once_committed(lambda: world.customers.append(customer))


def add_test_account(world: World, cursor: Cursor) -> None:
    """A tester of the shop signs up on production, as testers do."""
    who = world.newcomer()
    email = f"{who.email.partition('@')[0]}@{TEST_DOMAIN}"
    status = world.one_of(("TEST", "TEST", "active"))
    cursor.execute(_CUSTOMER, (email, who.full_name, None, status, world.now, world.now))
    (customer,) = cursor.fetchone() or (0,)
    world.once_committed(lambda: world.customers.append(customer))


def edit_customer(world: World, cursor: Cursor) -> None:
    """A customer changes telephone, e-mail and profile."""
    who = world.newcomer()
    customer = world.one_of(world.customers)
    phone = spelled_phone(who.phone, who.style)
    cursor.execute(_EDIT, (phone, spelled_email(who.email, who.style), world.now, customer))
    note = f"new number {phone}, ask for {who.full_name}"
    opted = world.one_of(("yes", "no", "opted-in", "opted out"))
    attributes = Json({"phone": phone, "tier": world.one_of(("gold", "silver"))})
    cursor.execute(_EDIT_PROFILE, (note, opted, attributes, world.now, customer))


def move_address(world: World, cursor: Cursor) -> None:
    """A customer moves house."""
    who = world.newcomer()
    customer = world.one_of(world.customers)
    cursor.execute(_MOVE, (who.line1, who.city, who.postcode, world.now, customer))


def erase_customer(world: World, cursor: Cursor) -> None:
    """A customer asks to be forgotten: blanked where the books must stay, deleted elsewhere."""
    customer = world.take(world.customers)
    for blank in (_BLANK_PAYMENTS, _BLANK_SHIPMENTS, _BLANK_TICKETS):
        cursor.execute(blank, (customer,))
    cursor.execute(_ERASE, (customer,))


def merge_legacy_user(world: World, cursor: Cursor) -> None:
    """Somebody recognises a user of the old CRM as a customer: their orders move over."""
    if not world.legacy_keys:
        return place_order(world, cursor)
    key = world.take(world.legacy_keys)
    cursor.execute(_ADOPT, (world.one_of(world.customers), world.now, key))
    return cursor.execute(_FORGET_LEGACY, (key,))


def rename_legacy_key(world: World, cursor: Cursor) -> None:
    """The old CRM gives a user another key: a primary key changes, and orders follow it."""
    if not world.legacy_keys:
        return place_order(world, cursor)
    old = world.take(world.legacy_keys)
    new = f"CRM-{world.chance.randrange(10**9):09d}"
    cursor.execute(_RENAME_LEGACY, (new, old))
    cursor.execute(_RENAME_IN_ORDERS, (new, old))
    return world.once_committed(lambda: world.legacy_keys.append(new))
