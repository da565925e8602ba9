"""The changes of docs/reference/schema-changes.md, one case for each row of its table.

Here: what is done to a table of production, and what then holds of it. Not here: doing it to all
tables at once (scenarios/test_schema_changes.py). In SQL `@` stands for the case's own table.
"""

from __future__ import annotations

from typing import Final

from analytics_replica_tests.support.change import KEPT, PLAIN, Change, Rules

INSERT: Final = "insert into @ values (3, 'z', 3)"
REPLACED: Final = "it was dropped in production and made again"
GONE: Final = "production no longer publishes it"
ADDED: Final[Rules] = {**KEPT, "b": "keep"}
SEALED_BEFORE: Final = "FAIL: .*b: rows from before .* are still: sealed"


def _added(name: str, column: str, *, equals: bool) -> Change:
    return Change(
        name,
        (f"alter table @ add b {column}", "update @ set n = 9 where id = 1"),
        then=ADDED,
        second=("insert into @ (id, a, n) values (3, 'z', 3)",),
        equals=equals,
        drift=SEALED_BEFORE,
        landed=2,
        repair=ADDED,
    )


CHANGES: Final = (
    Change(
        "a column is added and not published",
        ("alter table @ add b text default 'secret'", INSERT),
        whole=False,
        drift="FAIL: .*b: is new in production",
        repair=ADDED,
    ),
    Change(
        "a column is added and published",
        ("alter table @ add b text default 'secret'", INSERT),
        drift="FAIL: .*b: is sealed: replica.yaml does not classify it",
        repair=ADDED,
    ),
    _added("a nullable column is added, then classified", "text", equals=True),
    _added("a column with a constant default, then classified", "text default 'd'", equals=False),
    _added(
        "a column with a volatile default, then classified",
        "uuid default gen_random_uuid()",
        equals=False,
    ),
    Change(
        "a column is dropped",
        ("alter table @ drop a", "insert into @ values (3, 3)"),
        drift="FAIL: .*a: is in replica.yaml and no longer comes",
        repair={"id": "keep", "n": "keep"},
    ),
    Change(
        "a listed column is dropped, which takes the table out of the publication",
        ("alter table @ drop a cascade", "insert into @ values (3, 3)"),
        whole=False,
        stands_still=GONE,
        landed=0,
        repair={"id": "keep", "n": "keep"},
    ),
    *(
        Change(
            f"a column is renamed ({'whole table' if whole else 'columns'} published)",
            ("alter table @ rename a to a2", INSERT),
            whole=whole,
            drift="FAIL: .*a2: is sealed.*a: is in replica.yaml and no longer comes",
            repair={"id": "keep", "a2": "keep", "n": "keep"},
        )
        for whole in (True, False)
    ),
    Change(
        "a column is dropped and added again",
        ("alter table @ drop n; alter table @ add n int",),
        stands_still=f"n {REPLACED.removeprefix('it ')}",
        landed=0,
    ),
    Change(
        "a column is dropped and added again with another type",
        ("alter table @ drop n; alter table @ add n text", "insert into @ values (3, 'z', 'new')"),
        stands_still=f"n {REPLACED.removeprefix('it ')}",
    ),
    Change(
        "a column is dropped, and added again a day later",
        ("alter table @ drop n", "insert into @ values (3, 'z')"),
        second=("alter table @ add n int", "insert into @ values (4, 'z', 4)"),
        stands_still=f"n {REPLACED.removeprefix('it ')}",
        landed=2,
    ),
    Change(
        "a column is widened from int to bigint",
        ("alter table @ alter n type bigint", "insert into @ values (3, 'z', 5000000000)"),
        drift="CANNOT_TELL: .*n: was integer until",
    ),
    Change(
        "a column is widened behind changes that are not captured yet",
        (INSERT, "alter table @ alter n type bigint", "insert into @ values (4, 'v', 5000000000)"),
        drift="CANNOT_TELL: .*n: was integer until",
        landed=2,
    ),
    Change(
        "columns are widened from varchar(10) to text and to more digits",
        ("alter table @ alter a type text, alter n type numeric(8,2)",
         "insert into @ values (3, repeat('z', 20), 123456.78)"),
        create="create table @ (id int primary key, a varchar(10), n numeric(4,1))",
        drift="CANNOT_TELL: .*a: was character varying",
    ),
    Change(
        "a column is widened and its values are computed anew",
        ("alter table @ alter n type bigint using n * 100", INSERT),
        equals=False,
        drift="CANNOT_TELL: .*n: was integer until",
    ),
    Change(
        "a column is narrowed",
        ("alter table @ alter n type smallint", INSERT),
        stands_still="the type changed from integer to smallint",
    ),
    Change(
        "a type changes from int to text",
        ("alter table @ alter n type text", INSERT),
        stands_still="the type changed from integer to text",
    ),
    Change(
        "a type changes from text to jsonb",
        ("alter table @ alter a type jsonb using to_jsonb(a)",
         "insert into @ values (3, '{}', 3)"),
        stands_still="the type changed from text to jsonb",
    ),
    Change(
        "a type changes and changes back",
        ("alter table @ alter n type text", INSERT, "alter table @ alter n type int using n::int"),
        second=("insert into @ values (4, 'z', 4)",),
        stands_still="the type changed from text to integer",
        landed=2,
    ),
    Change(
        "a value is added to an enum",
        ("alter type @_mood add value 'new' before 'old'", "insert into @ values (3, 'new', 3)"),
        create="create type @_mood as enum ('old'); create table @ (id int primary key, a @_mood, "
        "n int)",
        rows="insert into @ values (1, 'old', 1)",
    ),
    Change(
        "a value of an enum is renamed",
        ("alter type @_mood rename value 'old' to 'aged'", "insert into @ values (3, 'aged', 3)"),
        create="create type @_mood as enum ('old'); create table @ (id int primary key, a @_mood, "
        "n int)",
        rows="insert into @ values (1, 'old', 1)",
    ),
    Change(
        "an enum is replaced by another of the same name",
        (("alter type @_mood rename to @_was; create type @_mood as enum ('b', 'old'); "
          "alter table @ alter a type @_mood using a::text::@_mood"),
         "insert into @ values (3, 'b', 3)"),
        create="create type @_mood as enum ('old'); create table @ (id int primary key, a @_mood, "
        "n int)",
        rows="insert into @ values (1, 'old', 1)",
        stands_still="the type changed from staging_types",
    ),
    Change(
        "a column changes from text to an enum",
        (("create type @_mood as enum ('y', 'x'); "
          "alter table @ alter a type @_mood using a::@_mood"),
         "insert into @ values (3, 'y', 3)"),
    ),
    Change(
        "a column changes from an enum to text",
        ("alter table @ alter a type text", "insert into @ values (3, 'any', 3)"),
        create="create type @_mood as enum ('old'); create table @ (id int primary key, a @_mood, "
        "n int)",
        rows="insert into @ values (1, 'old', 1)",
        stands_still="the type changed from staging_types",
    ),
    Change(
        "comments and indexes change",
        ("comment on column @.a is 'new'; create index on @ (n)", INSERT),
    ),
    Change(
        "a table is renamed",
        ("alter table @ rename to @_old", "insert into @_old values (3, 'z', 3)"),
        drift="FAIL: .*is called public.@_old in production now",
        now_called="@_old",
    ),
    Change(
        "a table is renamed and renamed back",
        ("alter table @ rename to @_old", "insert into @_old values (3, 'z', 3)",
         "alter table @_old rename to @", "insert into @ values (4, 'z', 4)"),
        landed=2,
    ),
    Change(
        "a table is renamed and another one gets its name",
        ("alter table @ rename to @_old; create table @ (id int primary key, a text, n int)",
         "insert into @_old values (3, 'z', 3)", "insert into @ values (9, 'other', 9)"),
        drift="FAIL: .*is called public.@_old in production now",
        now_called="@_old",
    ),
    Change(
        "a table is renamed and another one with its name is published",
        (("alter table @ rename to @_old; create table @ (id int primary key, a text, n int); "
         "alter publication analytics_replica add table @"),
         "insert into @_old values (3, 'z', 3)", "insert into @ values (1, 'other', 9)"),
        stands_still=REPLACED,
        landed=1,
    ),
    Change(
        "a table is dropped and made again",
        ("drop table @; create table @ (id int primary key, a text, n int)", INSERT),
        stands_still=GONE,
        landed=0,
    ),
    Change(
        "a table is made again with its columns in another order, and published",
        (("drop table @; create table @ (n int, id int primary key, a text); "
         "alter publication analytics_replica add table @"), "insert into @ values (1, 7, 'x')"),
        stands_still=REPLACED,
    ),
    Change(
        "the primary key changes",
        ("alter table @ drop constraint @_pkey, add primary key (id, n)", INSERT),
        stands_still=r"its key changed from \(id\) to \(id, n\)",
    ),
    Change(
        "the primary key is dropped",
        ("alter table @ drop constraint @_pkey", INSERT),
        stands_still=r"its key changed from \(id\) to none",
        mend="alter table @ replica identity full",
    ),
    Change(
        "the primary key changes under replica identity full, which the log does not tell",
        ("alter table @ drop constraint @_pkey, add primary key (n)",
         "insert into @ values (1, 'twice', 3)"),
        create=f"{PLAIN}; alter table @ replica identity full",
        stands_still=r"its key changed from \(id\) to \(n\)",
    ),
    Change(
        "the replica identity becomes full",
        ("alter table @ replica identity full", "update @ set n = 5 where id = 1"),
    ),
    Change(
        "the replica identity becomes nothing",
        ("alter table @ replica identity nothing", INSERT),
        mend="alter table @ replica identity default",
    ),
    Change(
        "the replica identity becomes another index",
        (("create unique index @_n on @ (n); alter table @ alter n set not null; "
         "alter table @ replica identity using index @_n"), "update @ set n = 5 where id = 1"),
        stands_still=r"its key changed from \(id\) to \(n\)",
        landed=2,
    ),
    Change(
        "columns come and go between the changes of one transaction",
        (("insert into @ values (3, 'z', 3); alter table @ add b text; update @ set b = 'secret', "
         "n = 4 where id = 1; alter table @ alter n type bigint; insert into @ values (5, 'v', 5); "
         "alter table @ drop b; delete from @ where id = 2"),),
        drift="FAIL: .*b: is in staging and no longer comes",
        landed=4,
    ),
    Change(
        "a mask no longer fits",
        ("alter table @ alter a type text", "insert into @ values (3, 'secret', 3)"),
        create="create table @ (id int primary key, a jsonb, n int)",
        rows="""insert into @ values (1, '{"k": 1, "name": "x"}', 1)""",
        rules={"id": "keep", "a": {"mask": "json", "paths": {"k": "keep"}}, "n": "keep"},
        stands_still=r"replica.yaml does not fit it any more: a \(mask json does not fit its type",
        repair={"id": "keep", "a": {"mask": "null"}, "n": "keep"},
    ),
    Change(
        "the key is renamed",
        ("alter table @ rename id to code", "insert into @ values (777777, 'z', 3)",
         "delete from @ where n = 1"),
        stands_still=r"its key changed from \(id\) to \(code\)",
        landed=2,
        repair={"code": "keep", "a": "keep", "n": "keep"},
    ),
    Change(
        "a column is added whose name differs only in case",
        ('alter table @ add "A" text', "insert into @ values (3, 'z', 3, 'secret')"),
        stands_still="A .its name differs from a only in case",
        repair={**KEPT, "A": "drop"},
    ),
)  # fmt: skip
