"""Staging has production's own types: enums in their order, domains, ranges, arrays of them.

Oracle: PostgreSQL. What production's catalog says of its types and columns is compared with what
the warehouse's says; what production sorts, with what staging sorts.
Known gaps: composites, types of extensions and multiranges of user ranges stay text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.manifest import (
    digest,
    last_manifest,
    manifests,
    replace_manifest,
    to_json,
)
from analytics_replica.landing.resync import resync
from analytics_replica.staging.apply import ApplyReport, apply_pending
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database

ORDERS = TableName("public", "orders")
MADE = """
create type status as enum ('new', 'paid', 'sent');
create table orders (id int primary key, status status, was status[]);
insert into orders values (1, 'sent', '{sent,new}'), (2, 'new', '{}'), (3, 'paid', null);
"""
KEPT = dict.fromkeys(("id", "status", "was"), "keep")

LABELS = """
select array_agg(l.enumlabel::text order by l.enumsortorder)
from pg_enum l join pg_type t on t.oid = l.enumtypid join pg_namespace n on n.oid = t.typnamespace
where n.nspname = %s and t.typname = %s
"""

AWKWARD = "ü" * 31  # 62 bytes
ODD = f"""
create schema "Odd ""Types"; create schema "{AWKWARD}";
create type "Odd ""Types"."Mood's \\" as enum ('ha''ppy', 'so so', '', '{{"', 'back\\slash', 'Ünï');
create type "{AWKWARD}"."{AWKWARD}" as enum ('a', 'b');
create domain "Odd ""Types".share as numeric(5, 4) check (value between 0 and 1) default 0.5;
create domain "Odd ""Types".deeper as "Odd ""Types".share;
create domain "Odd ""Types".felt as "Odd ""Types"."Mood's \\";
create domain "Odd ""Types".word as text not null;
create domain "Odd ""Types".many as int[];
create type "Odd ""Types".floats as range (subtype = float8);
create type "Odd ""Types".place as (street text, n int);
create table odd (id int primary key, m "Odd ""Types"."Mood's \\",
    ms "Odd ""Types"."Mood's \\"[], l "{AWKWARD}"."{AWKWARD}", s "Odd ""Types".share,
    d "Odd ""Types".deeper, f "Odd ""Types".felt, w "Odd ""Types".word, i "Odd ""Types".many,
    r "Odd ""Types".floats, rs "Odd ""Types".floats[], ss "Odd ""Types".share[],
    p "Odd ""Types".place);
insert into odd values
    (1, 'so so', '{{"ha''ppy",NULL}}', 'b', 0.25, 1, '', 'x', '{{1,2}}', '[0.5,2)', '{{"[1,2)"}}',
     '{{0.1}}', '(a,1)'),
    (2, '{{"', '{{}}', 'a', null, 0.5, 'back\\slash', '', null, 'empty', null, null, null),
    (3, 'Ünï', null, null, 1, null, 'Ünï', 'y', '{{}}', '(,)', null, null, '(,)');
"""
ODD_COLUMNS = ("id", "m", "ms", "l", "s", "d", "f", "w", "i", "r", "rs", "ss", "p")


def apply(made: Pipeline) -> ApplyReport:
    return apply_pending(made.settings, SystemClock())


def night(made: Pipeline) -> ApplyReport:
    made.capture()
    return apply(made)


def labels(database: Database, schema: str, name: str) -> list[str]:
    found: list[str] = database.scalar(LABELS, (schema, name))
    return found


def rows(database: Database, table: str, columns: tuple[str, ...] = tuple(KEPT)) -> list[Any]:
    listed = ", ".join(f"{column}::text" for column in columns)
    return database.rows(f"select {listed} from {table} order by id")


def same(made: Pipeline) -> bool:
    by_status = "select id from {} order by status, id"
    sorted_ = [d.rows(by_status.format(t)) for d, t in ((made.production, "orders"),
               (made.warehouse, "staging.orders"))]  # fmt: skip
    return sorted_[0] == sorted_[1] and (
        rows(made.production, "orders") == rows(made.warehouse, "staging.orders")
    )


def types(database: Database, table: str) -> dict[str, str]:
    return dict(
        database.rows(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and attname !~ '^_replica'",
            (table,),
        )
    )


@pytest.fixture
def orders(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    production.execute(MADE)
    made = pipeline({"public.orders": KEPT})
    made.prepare()
    assert night(made).quarantined == {}
    return made


def test_an_enum_and_its_arrays_are_enums_in_staging_and_sort_alike(orders: Pipeline) -> None:
    assert types(orders.warehouse, "staging.orders") == {
        "id": "integer",
        "status": 'staging_types."public.status"',
        "was": 'staging_types."public.status"[]',
    }
    assert labels(orders.warehouse, "staging_types", "public.status") == ["new", "paid", "sent"]
    assert same(orders)


def test_awkward_types_of_every_sort_hold_what_production_holds(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(ODD)
    made = pipeline({"public.odd": dict.fromkeys(ODD_COLUMNS, "keep")})
    made.prepare()
    assert night(made).quarantined == {}
    production.execute("update odd set m = 'back\\slash', ms = array[m, m] where id = 2")
    production.execute("insert into odd (id, w, r) select 4, 'z', '[1,7)'")
    assert night(made).quarantined == {}
    assert rows(production, "odd", ODD_COLUMNS) == rows(made.warehouse, "staging.odd", ODD_COLUMNS)
    found = types(made.warehouse, "staging.odd")
    assert found["p"] == "text"
    assert [n for n, kind in found.items() if not kind.startswith("staging_types.")] == ["id", "p"]
    name = 'staging_types."""Odd """"Types"".""Mood\'s \\"""'
    assert (found["m"], found["ms"]) == (name, f"{name}[]")
    shown = "select m, l from {} order by m desc, l"
    assert production.rows(shown.format("odd")) == made.warehouse.rows(shown.format("staging.odd"))
    kinds = dict(made.warehouse.rows(
        "select t.typname, format_type(t.typbasetype, t.typtypmod) from pg_type t "
        "where t.typnamespace = 'staging_types'::regnamespace and t.typtype = 'd'"
    ))  # fmt: skip
    assert kinds['"Odd ""Types".share'] == "numeric(5,4)"
    assert kinds['"Odd ""Types".deeper'] == 'staging_types."""Odd """"Types"".share"'
    assert made.warehouse.rows(
        "select 1 from pg_constraint where contypid <> 0 and contype = 'c' "
        "and connamespace = 'staging_types'::regnamespace"
    ) == []  # fmt: skip


def test_a_label_that_is_added_in_the_middle_has_its_place_before_its_first_value(
    orders: Pipeline,
) -> None:
    orders.production.execute("alter type status add value 'packed' before 'sent'")
    orders.production.execute("alter type status add value 'draft' before 'new'")
    orders.production.execute("insert into orders values (4, 'packed', '{packed,draft}')")
    orders.production.execute("update orders set status = 'draft' where id = 1")
    assert night(orders).quarantined == {}
    expected = ["draft", "new", "paid", "packed", "sent"]
    assert labels(orders.warehouse, "staging_types", "public.status") == expected
    assert same(orders)


def test_a_label_that_is_renamed_is_renamed_in_rows_of_which_the_log_says_nothing(
    orders: Pipeline,
) -> None:
    orders.production.execute("insert into orders values (4, 'new'), (5, 'paid')")
    orders.production.execute("alter type status rename value 'new' to 'fresh'")
    orders.production.execute("insert into orders values (6, 'fresh', '{fresh}')")
    assert night(orders).quarantined == {}
    assert labels(orders.warehouse, "staging_types", "public.status") == ["fresh", "paid", "sent"]
    assert same(orders)
    assert rebuild(orders.settings, SystemClock()).quarantined == {}
    assert same(orders)


def test_labels_that_change_names_are_never_mistaken_for_each_other(orders: Pipeline) -> None:
    orders.production.execute(
        "alter type status rename value 'new' to 'x'; alter type status rename value 'paid' to "
        "'new'; alter type status rename value 'x' to 'paid'"
    )
    assert night(orders).quarantined == {}
    assert same(orders)  # no change came in between
    orders.production.execute("insert into orders values (4, 'new'), (5, 'paid')")
    assert night(orders).quarantined == {}
    assert same(orders)
    orders.production.execute("insert into orders values (6, 'sent')")
    orders.production.execute(
        "alter type status rename value 'sent' to 'x'; alter type status rename value 'paid' to "
        "'sent'; alter type status rename value 'x' to 'paid'"
    )
    assert "labels of its type public.status were renamed" in night(orders).quarantined[ORDERS]
    resync(orders.settings, SystemClock(), [ORDERS])
    assert apply(orders).quarantined == {}
    assert same(orders)


def test_a_type_made_anew_with_other_labels_stops_its_table_until_it_is_copied(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(MADE)
    orders = pipeline({"public.orders": KEPT})
    orders.prepare()
    # PostgreSQL alters no type of a column that a publication names.
    production.execute("alter publication analytics_replica set table only orders")
    assert night(orders).quarantined == {}
    before = rows(orders.warehouse, "staging.orders")
    orders.production.execute(
        "alter type status rename to old_status; create type status as enum ('sent', 'new', 'paid')"
    )
    orders.production.execute(
        "alter table orders alter status type status using status::text::status; "
        "alter table orders alter was type status[] using was::text::status[]; "
        "drop type old_status; insert into orders values (4, 'new')"
    )
    assert "the type changed from" in night(orders).quarantined[ORDERS]
    assert rows(orders.warehouse, "staging.orders") == before
    resync(orders.settings, SystemClock(), [ORDERS])
    assert apply(orders).quarantined == {}
    assert same(orders)
    found = orders.warehouse.rows(
        "select typname from pg_type where typtype = 'e' "
        "and typnamespace = 'staging_types'::regnamespace"
    )
    assert found == [("public.status",)]  # nothing is left of the old one


def test_a_label_that_no_definition_knows_is_added_when_its_value_arrives(
    orders: Pipeline,
) -> None:
    before = last_manifest(orders.store)
    assert before is not None
    orders.production.execute("alter type status add value 'late' before 'new'")
    orders.production.execute("insert into orders values (4, 'late')")
    orders.capture()
    newest = last_manifest(orders.store)
    assert newest is not None
    # As if the capture had asked the catalog before the label came.
    replace_manifest(orders.store, replace(newest[0], definitions=before[0].definitions))
    assert apply(orders).quarantined == {}
    assert rows(orders.production, "orders") == rows(orders.warehouse, "staging.orders")
    assert labels(orders.warehouse, "staging_types", "public.status")[-1] == "late"


def test_a_table_that_an_older_release_copied_stays_text_until_it_is_copied_again(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(MADE)
    made = pipeline({"public.orders": KEPT})
    made.prepare()
    made.capture()
    previous = ""
    for manifest in list(manifests(made.store)):
        older = replace(manifest, definitions="", previous=previous)
        replace_manifest(made.store, older)
        previous = digest(to_json(older))
    assert apply(made).quarantined == {}
    assert types(made.warehouse, "staging.orders")["status"] == "text"
    production.execute("insert into orders values (4, 'paid')")
    assert night(made).quarantined == {}
    assert types(made.warehouse, "staging.orders")["status"] == "text"
    assert rows(production, "orders") == rows(made.warehouse, "staging.orders")
    resync(made.settings, SystemClock(), [ORDERS])
    assert apply(made).quarantined == {}
    assert types(made.warehouse, "staging.orders")["status"] == 'staging_types."public.status"'
    assert same(made)


def test_labels_of_a_masked_column_do_not_leave_production(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(MADE)
    masked = {"id": "keep", "status": {"mask": "token", "domain": "s"}, "was": "drop"}
    made = pipeline({"public.orders": masked})
    made.prepare()
    assert night(made).quarantined == {}
    assert types(made.warehouse, "staging.orders")["status"] == "text"
    for path in made.store.matching("definitions/*.json"):
        assert b"paid" not in made.store.read(path)
