"""The demo's production: complete, consistent, messy, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime

import pytest

from analytics_replica.demo.planted import PERSONAL, PlantedValues
from analytics_replica.demo.shop.fill import TABLES, fill
from analytics_replica.demo.shop.schema import create_schema, event_months, has_schema
from analytics_replica.postgres.connect import connect
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.servers import Database, fresh_database

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def unheard(table: str, rows: int) -> None:
    """For those who do not follow the progress."""


def filled(
    database: Database, *, seed: int = 1, scale: float = 0.02, now: datetime = NOW
) -> Database:
    with closing(connect(database.dsn())) as opened:
        create_schema(opened, *event_months(now))
        fill(opened, seed, scale, now, unheard)
        opened.commit()
    return database


def content(database: Database) -> dict[str, str]:
    """A digest of all rows of each table, whatever their order on disk."""
    return {
        of: database.scalar(f"select md5(string_agg(t::text, '/' order by t::text)) from {of} as t")
        for of in TABLES
    }


@pytest.fixture(scope="module")
def shop(server: LocalServer) -> Iterator[Database]:
    with fresh_database(server, "shop") as database:
        yield filled(database)


def test_the_same_seed_scale_and_moment_give_the_same_rows_in_every_table(
    server: LocalServer, shop: Database
) -> None:
    with fresh_database(server, "shop") as again, fresh_database(server, "shop") as other:
        assert content(filled(again)) == content(shop)
        differing = content(filled(other, seed=2))
        assert not set(content(shop).items()) & set(differing.items()) - {
            ("shop.product_categories", differing["shop.product_categories"])
        }


def test_progress_names_every_table_with_its_rows(production: Database) -> None:
    told: dict[str, int] = {}
    with closing(connect(production.dsn())) as opened:
        create_schema(opened, *event_months(NOW))
        fill(opened, 1, 0.01, NOW, told.__setitem__)
        opened.commit()
    assert set(told) == set(TABLES)
    assert told == {of: production.scalar(f"select count(*) from {of}") for of in TABLES}


def test_an_interrupted_start_leaves_the_database_empty(production: Database) -> None:
    with closing(connect(production.dsn())) as opened:
        create_schema(opened, *event_months(NOW))
        fill(opened, 1, 0.01, NOW, unheard)
        assert has_schema(opened)
        opened.rollback()
        assert not has_schema(opened)


def test_postgresql_accepts_every_foreign_key_again(shop: Database) -> None:
    keys = shop.rows(
        "select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint "
        "where contype = 'f' and conparentid = 0"
    )
    assert len(keys) == 11
    for of, definition in keys:
        shop.execute(f"alter table {of} add constraint checked_again {definition}")
        shop.execute(f"alter table {of} drop constraint checked_again")


def test_money_adds_up(shop: Database) -> None:
    assert not shop.rows(
        """
        select o.id from shop.orders as o
        left join shop.order_lines as l on l.order_id = o.id
        group by o.id
        having o.total is distinct from round(sum(l.quantity * l.unit_price * (1 - l.discount)), 2)
        """
    )
    assert not shop.rows(
        """
        select p.id from shop.payments as p join shop.orders as o on o.id = p.order_id
        where p.amount <> o.total or p.currency <> o.currency
        """
    )
    assert not shop.rows(
        """
        select p.id from shop.payments as p join shop.refunds as r on r.payment_id = p.id
        group by p.id having sum(r.amount) > p.amount or lower(p.status) <> 'captured'
        """
    )
    paid = """
        select count(*) from shop.orders
        where lower(trim(status)) not in ('new', 'placed', 'cancelled', 'canceled')
    """
    captured = "select count(*) from shop.payments where lower(status) = 'captured'"
    assert shop.scalar(captured) == shop.scalar(paid) > 1_000


def test_the_history_spans_eighteen_months_with_busy_and_quiet_days(shop: Database) -> None:
    first, last = shop.rows("select min(placed_at), max(placed_at) from shop.orders")[0]
    assert 530 < (NOW - first).days < 550
    assert 0 <= (NOW - last).days < 2
    by_day = dict(
        shop.rows(
            "select extract(isodow from placed_at)::int, count(*) from shop.orders group by 1"
        )
    )
    assert by_day[5] > 1.5 * by_day[2]


def test_nothing_happens_in_the_future_or_before_its_cause(shop: Database) -> None:
    times = {
        "shop.customers": ("created_at", "updated_at"),
        "shop.orders": ("placed_at", "updated_at"),
        "shop.payments": ("paid_at",),
        "shop.shipments": ("shipped_at", "delivered_at"),
        "shop.refunds": ("refunded_at",),
        "shop.order_events": ("occurred_at",),
        "shop.support_tickets": ("opened_at", "closed_at"),
    }
    for of, columns in times.items():
        for column in columns:
            assert shop.scalar(f"select max({column}) from {of}") <= NOW, (of, column)
    assert not shop.rows(
        """
        select o.id from shop.orders as o join shop.customers as c on c.id = o.customer_id
        where o.placed_at < c.created_at
        """
    )


def test_descriptions_are_stored_out_of_line(shop: Database) -> None:
    toast = shop.scalar(
        "select reltoastrelid::regclass from pg_class where oid = 'shop.products'::regclass"
    )
    products = shop.scalar("select count(*) from shop.products where length(description) > 5900")
    assert shop.scalar(f"select count(distinct chunk_id) from {toast}") == products > 0


def test_the_data_are_as_messy_as_promised(shop: Database) -> None:
    def spellings(query: str) -> int:
        return int(shop.scalar(f"select count(distinct x) from ({query}) as t (x)"))

    assert spellings("select marketing_opt_in from shop.customer_profiles") >= 8
    assert spellings("select status from shop.orders where lower(trim(status)) ~ '^paid|^pay'") >= 4
    assert spellings("select currency from shop.orders where upper(currency) = 'EUR'") == 2
    assert spellings("select country from crm.legacy_users where country ~* '^(de|germany)$'") >= 3
    assert spellings("select regexp_replace(phone, '[0-9]', '9', 'g') from shop.customers") >= 5
    assert shop.scalar("select bool_and(name ~ '^[[:upper:]]+, ') from crm.legacy_users")
    assert shop.scalar(
        r"select bool_and(registered_on ~ '^\d\d/\d\d/\d{4}$') from crm.legacy_users"
    )
    assert shop.scalar("select count(*) from shop.customers where status = 'TEST'") > 0
    assert shop.scalar(r"select count(*) from shop.customer_profiles where notes ~ '@'") > 10
    assert (
        shop.scalar("select count(*) from shop.customer_profiles where attributes ? 'phone'") > 10
    )
    assert shop.scalar("select count(*) from shop.orders where customer_id is null") > 100


def test_half_of_the_old_crms_users_are_customers_under_another_spelling(shop: Database) -> None:
    same = """
        select count(*) from crm.legacy_users as u
        where exists (
            select from shop.customers as c
            where lower(trim(c.email)) = lower(trim(u.email))
               or right(regexp_replace(c.phone, '[^0-9]', '', 'g'), 10)
                = right(regexp_replace(u.phone, '[^0-9]', '', 'g'), 10)
        )
    """
    known, users = shop.scalar(same), shop.scalar("select count(*) from crm.legacy_users")
    assert 0.4 < known / users < 0.55
    assert shop.scalar(
        "select count(*) from (select from shop.customers group by lower(trim(email)) "
        "having count(*) > 1) as twice"
    )


def test_every_value_that_names_a_person_can_be_recognised(shop: Database) -> None:
    sometimes_harmless = {"notes", "attributes", "line2", "reason", "subject"}
    for of, columns in PERSONAL.items():
        for column in columns:
            values = [v for (v,) in shop.rows(f"select {column}::text from {of}") if v]
            marked = sum(len(PlantedValues.of([value])) > 0 for value in values)
            assert marked > 0, (of, column)
            assert marked == len(values) or column in sometimes_harmless, (of, column)


def test_products_hold_nothing_that_looks_personal(shop: Database) -> None:
    texts = [row[0] for row in shop.rows("select p::text from shop.products as p")]
    assert len(PlantedValues.of(texts)) == 0


def test_new_rows_get_ids_that_nobody_has(shop: Database) -> None:
    with shop.session() as cursor:
        for sequence, of in (("customers", "customers"), ("payments", "payments")):
            cursor.execute(f"select nextval('shop.{sequence}_id_seq'), max(id) from shop.{of}")
            new, last = cursor.fetchone()
            assert new == last + 1


def test_every_month_has_its_partition_also_a_year_ahead(shop: Database) -> None:
    assert event_months(NOW) == (date(2025, 10, 1), date(2027, 11, 1))
    partitions = shop.rows(
        "select inhrelid::regclass::text from pg_inherits "
        "where inhparent = 'shop.order_events'::regclass"
    )
    assert len(partitions) == 26 + 1
    assert shop.scalar("select count(*) from shop.order_events_other") == 0
    assert shop.scalar("select count(*) from shop.order_events_2026_11") > 50
