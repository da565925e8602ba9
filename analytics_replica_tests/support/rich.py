"""A landing with everything that an apply can meet, and the states before and after it.

Here: the tables, their batches, and a whole warehouse as text. Not here: what befalls the apply
(integration/test_staging_crashes_*.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytics_replica.settings.load import Settings, load_settings
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.drawings import Drawn
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.points import NOW, Points, apply_heard
from analytics_replica_tests.support.servers import Database, copied_database

ORDERS = Drawn("shop.orders", {"id": "integer key", "total": "integer"})
TAGS = Drawn("shop.tags", {"id": "integer key", "tag": "text"})
PRICES = Drawn("shop.prices", {"id": "integer key", "price": "integer"})

WIDER = Drawn("shop.orders", {"id": "integer key", "total": "bigint", "note": "text"})
RETYPED = Drawn("shop.prices", {"id": "integer key", "price": "text"})
COUPONS = Drawn("shop.coupons", {"code": "text key", "worth": "numeric(8,2)"})

BEFORE = (PEOPLE, LOG, ORDERS, TAGS, PRICES)
AFTER = (PEOPLE, LOG, WIDER, TAGS, RETYPED, COUPONS)

_CHANGES = {
    PEOPLE: """
    lsn   | op     | id | city   | bio
    0/110 | delete |  1 |        |
    0/110 | move   |  9 | Oslo   | ~
    0/110 | delete |  2 |        |
    0/110 | move   |  1 | Bergen | ~
    0/110 | delete |  9 |        |
    0/110 | move   |  2 | Oslo   | ~
    0/120 | update |  3 | Quito  | ~
    0/130 | insert |  5 | Rome   | five
    0/130 | insert |  6 | Pisa   | six
    0/140 | delete |  4 |        |
    """,
    LOG: """
    lsn   | op     | at         | line
    0/110 | delete | 2026-01-01 | on
    0/120 | insert | 2026-01-02 | off
    0/120 | insert | 2026-01-02 | off
    """,
    WIDER: """
    lsn   | op     | id | total       | note
    0/150 | update |  1 | 99999999999 | much
    0/150 | insert |  3 | 7           |
    """,
    TAGS: """
    lsn   | op       | id | tag
    0/160 | truncate |    |
    0/160 | insert   |  2 | new
    0/160 | insert   |  3 | newer
    """,
}


_GOLD = """
create schema gold_a authorization loader;
create view gold_a.totals as select sum(total) from staging.orders;
alter view gold_a.totals owner to loader
"""


def rich_landing(root: Path, warehouse: Database | None) -> Landing:
    """Lands a first state, applies it if there is a warehouse, and lands everything that comes."""
    landing = Landing(root, BEFORE)
    landing.copy(
        "0/100",
        {
            PEOPLE: "id | city | bio\n1 | Oslo | one\n2 | Bergen | two\n3 | Turku |\n4 | Kyiv | 4",
            LOG: "at | line\n2026-01-01 | on\n2026-01-01 | on\n2026-01-03 | on",
            ORDERS: "id | total\n1 | 10\n2 | 20",
            TAGS: "id | tag\n1 | old\n2 | old",
            PRICES: "id | price\n1 | 5",
        },
    )
    if warehouse is not None:
        apply_pending(landing.settings(warehouse), NOW)
        warehouse.execute(_GOLD)
    landing.tables = AFTER
    landing.stream("0/200", dict(_CHANGES))
    landing.copy(
        "0/300",
        {
            RETYPED: "id | price\n1 | five\n2 | six",
            COUPONS: "code | worth\nSPRING | 5.00\nAUTUMN | 7.50\nWINTER | 1.00",
        },
    )
    landing.stream("0/400", {COUPONS: "lsn | op | code | worth\n0/310 | delete | WINTER |"})
    return landing


Everything = dict[str, list[tuple[Any, ...]]]


def everything(warehouse: Database) -> Everything:
    """All rows of all tables and all definitions that are not PostgreSQL's own, in fixed order."""
    with warehouse.session() as cursor:
        cursor.execute(_RELATIONS)
        relations = [row[0] for row in cursor.fetchall()]
        found = {}
        for relation in relations:
            cursor.execute(f"select r::text from {relation} r order by 1")
            found[relation] = cursor.fetchall()
        cursor.execute(_DEFINITIONS)
        found["definitions"] = cursor.fetchall()
    return found


_RELATIONS = """
select format('%I.%I', n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'v') and n.nspname !~ '^(pg_|information_schema)' order by 1
"""

_DEFINITIONS = """
select n.nspname, c.relname, c.relkind, c.relpersistence, a.attname,
       format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(c.oid, a.attnum),
       obj_description(c.oid, 'pg_class'), pg_get_indexdef(c.oid)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname !~ '^(pg_catalog|pg_toast$|information_schema)' and c.relkind <> 't'
  and c.relname !~ '^pg_toast_'
order by 1, 2, a.attnum
"""

_LEFT_OVER = """
-- sessions, locks, prepared transactions and temporary objects of anybody but us in this database
select 'session ' || application_name from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
union all select 'lock ' || locktype from pg_locks
where pid is distinct from pg_backend_pid()
  and database = (select oid from pg_database where datname = current_database())
union all select 'prepared ' || gid from pg_prepared_xacts where database = current_database()
union all select 'temporary ' || relname from pg_class where relpersistence = 't'
"""


def left_over(warehouse: Database) -> list[str]:
    """What somebody left in this database that is gone when its session is."""
    return [row[0] for row in warehouse.rows(_LEFT_OVER)]


@dataclass(frozen=True)
class World:
    """A warehouse to make copies of, and what an apply makes of a copy, point by point."""

    file: Path
    model: Database
    before: Everything
    after: Everything
    points: tuple[str, ...]

    def settings(self, warehouse: Database) -> Settings:
        """The landing's settings for this warehouse."""
        return load_settings(self.file, {"WAREHOUSE": warehouse.dsn("loader")})

    def heals(self, warehouse: Database) -> bool:
        """True if the next apply, as the command would do it, ends in the state after."""
        apply_pending(self.settings(warehouse), NOW)
        return everything(warehouse) == self.after

    @contextmanager
    def warehouse(self) -> Iterator[Database]:
        """A copy in the state before."""
        with copied_database(self.model, owner="loader") as copy:
            yield copy


def world_of(landing: Landing, warehouse: Database) -> World:
    """The world of a landing and a warehouse in the state before its batches."""
    before, points = everything(warehouse), Points()
    with copied_database(warehouse, owner="loader") as copy:
        report = apply_heard(landing.settings(copy), points)
        assert report.quarantined == {}
        after = everything(copy)
    return World(landing.root / "replica.yaml", warehouse, before, after, tuple(points.names))
