"""A value has one masked form, on whichever way it came: DuckDB reads what each way landed.

Ways: the first copy, the stream, a streamed transaction (spilled before its commit), old keys, a
TOAST value sent again, a resync.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.resync import resync
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import Pipeline, streams_large_transactions
from analytics_replica_tests.support.servers import Database

RULES: dict[str, Any] = {
    "k": {"mask": "token", "domain": "k"},
    "n": "keep",
    "email": {"class": "email"},
    "phone": {"class": "phone", "region": "US"},
    "name": {"class": "name"},
    "born": {"class": "birth_date"},
    "age": {"mask": "age_band", "as_of": "2026-01-01"},
    "card": {"class": "card"},
    "ip": {"class": "ip"},
    "spent": {"mask": "bucket", "width": 50},
    "doc": {"mask": "json", "paths": {"a": "keep", "b.c": {"class": "email"}, "l[]": "keep"}},
    "tags": {"mask": "token", "domain": "name", "elements": True},
    "uid": {"mask": "token", "domain": "uid", "as": "uuid"},
    "num": {"mask": "token", "domain": "num", "as": "int64"},
    "bio": {"mask": "redact"},
    "raw": {"mask": "token", "domain": "raw"},
    "own": {"mask": "initials"},
    "gone": {"class": "free_text"},
}

CREATE = """
create type own as enum ('very happy', 'sad');
create table people (k text primary key, n int, email text, phone varchar(40), name text,
    born date, age timestamptz, card text, ip inet, spent numeric(12,2), doc jsonb, tags text[],
    uid uuid, num bigint, bio text, raw bytea, own own, gone text);
alter table people replica identity full
"""

ROWS = """
select 'k' || i, i, case i % 5 when 0 then ' ADA' || i || '@X.org' when 1 then '' when 2 then null
        else 'ada' || i || '@münchen.de' end,
    case i % 3 when 0 then '(555) 123-' || lpad(i::text, 4, '0') when 1 then '+1 555 123 ' ||
        lpad(i::text, 4, '0') else '' end,
    'Ada ' || i, case i % 7 when 0 then 'infinity' else date '1950-01-01' + i * 9 end,
    case i % 7 when 0 then '-infinity' else timestamptz '1950-01-01' + i * interval '9 days' end,
    '41111111' || lpad(i::text, 8, '0'), ('10.0.' || i % 256 || '.7')::inet,
    case i % 6 when 0 then 'NaN' else i * 1.37 end,
    jsonb_build_object('a', i, 'secret', 'x' || i,
        'b', jsonb_build_object('c', 'Ada' || i || '@x.org'), 'l', '[1, "two", null, {}]'::jsonb),
    array['a' || i, null, '', 'b "c'], md5(i::text)::uuid, i * 1000003,
    'ring +1 555 123 ' || lpad(i::text, 4, '0') || repeat(' please', i % 900),
    decode(md5(i::text), 'hex'), case i % 2 when 0 then 'very happy' else 'sad' end::own, 'secret'
from generate_series(1, 300) i
"""  # fmt: skip


def test_every_way_gives_a_value_the_same_masked_form(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    streams_large_transactions(production)
    production.execute(CREATE)
    production.execute(f"insert into people {ROWS}")
    made = pipeline({"public.people": RULES})
    made.prepare()
    made.capture()
    production.execute("update people set n = n + 1000")
    production.execute("delete from people where n % 2 = 0; update people set k = k || '!'")
    production.execute("update people set k = rtrim(k, '!')")
    made.capture()
    production.execute(f"begin; delete from people; insert into people {ROWS}; commit")
    made.capture()
    streamed = production.scalar("select sum(stream_txns) from pg_stat_replication_slots")
    assert int(streamed) > 0
    resync(made.settings, SystemClock(), [TableName("public", "people")])
    masked = ", ".join(name for name in RULES if name not in ("k", "n"))
    forms = defaultdict(set)
    ways = defaultdict(set)
    for n, k, *columns in made.landed("public.people", f"n, k, row({masked})::text, _replica_op"):
        if columns[-1] != "d" and n is not None:
            forms[n % 1000].add(columns[0])
            ways[n % 1000].add((k, columns[-1]))
    assert len(forms) == 300
    assert {number: len(found) for number, found in forms.items() if len(found) != 1} == {}
    assert all(len({op for _, op in found}) >= 2 for found in ways.values())


def test_staging_holds_every_masked_type(
    production: Database, warehouse: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(CREATE)
    production.execute(f"insert into people {ROWS}")
    made = pipeline({"public.people": RULES})
    made.prepare()
    made.capture()
    apply_pending(made.settings, SystemClock())
    production.execute("update people set n = n + 1000, doc = doc || '{\"a\": 0}'")
    made.capture()
    apply_pending(made.settings, SystemClock())
    assert differences(production, warehouse, made.settings) == {}
    types = warehouse.rows(
        "select column_name::text, data_type::text from information_schema.columns "
        "where table_schema = 'staging' and table_name = 'people' and column_name = any "
        "(array['age','born','doc','num','spent','tags','uid']) order by 1"
    )
    assert [kind for _, kind in types] == [
        *("text", "integer", "jsonb", "bigint", "numeric", "ARRAY", "uuid")
    ]


def test_old_keys_are_masked_as_new_ones_are(
    production: Database, pipeline: Callable[..., Pipeline]
) -> None:
    production.execute(CREATE)
    production.execute(f"insert into people {ROWS}")
    made = pipeline({"public.people": RULES})
    made.prepare()
    made.capture()
    copied = {k for (k,) in made.landed("public.people", "k")}
    production.execute("update people set k = k || '!'; delete from people")
    made.capture()
    events = made.landed("public.people", "k, _replica_op")[300:]
    moved = {k for k, op in events if op == "m"}
    assert len(copied) == len(moved) == 300
    assert {k for k, op in events if op == "d"} == copied | moved
