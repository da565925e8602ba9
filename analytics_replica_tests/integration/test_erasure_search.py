"""What `erasure verify` finds: rows that still stand, however their keys were landed or masked.

Oracles: PostgreSQL and DuckDB count the rows themselves; the server's log is read. Not here: a
person over whole nights (scenarios/test_erasure.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.errors import SettingsInvalid
from analytics_replica.landing.copy_area import copies_folder
from analytics_replica.landing.manifest import manifests
from analytics_replica.masking.strategies.hmac_tokens import token_of
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.serving.erasure.request import Elsewhere, Request
from analytics_replica.serving.erasure.verify import verify_erasure
from analytics_replica.staging.rebuild import Asked, rebuild
from analytics_replica_tests.support.copying import apply
from analytics_replica_tests.support.pipeline import KEY, Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database

SPELLED: dict[str, dict[str, tuple[str, ...]]] = {
    "timestamptz": {
        "2026-01-02 03:04:05+00": ("2026-01-02 04:04:05+01",),
        "2026-01-02 03:04:05.25+00": (),
        "infinity": (),
    },
    "timestamp": {"2026-01-02 03:04:05": (), "0044-03-15 12:00:00 BC": ()},
    "date": {"2026-01-02": (), "-infinity": ()},
    "time": {"03:04:05.5": ("03:04:05.500",), "24:00:00": ()},
    "boolean": {"t": ("true", "yes"), "f": ("False",)},
    "bytea": {"\\x6869": ("hi",), "\\x": ()},
    "numeric(8,6)": {"0.500000": (".5", "0.5"), "NaN": ()},
    "numeric": {"1.5": ()},
    "double precision": {"1e+20": ("100000000000000000000",), "NaN": (), "0.1": ()},
    "char(5)": {"ab   ": ("ab",)},
    "varchar(5)": {"it's": (), "t": ()},
    "uuid": {
        "6f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0": ("6F1E2D3C4B5A49788796A5B4C3D2E1F0",),
    },
    "inet": {"10.0.0.1": ("10.0.0.1/32",)},
    "interval": {"01:00:00": ("1 hour",)},
}
"""Types of keys → values as PostgreSQL prints them → other ways of writing the same."""

TABLES = {kind: f"keyed_{number}" for number, kind in enumerate(SPELLED)}


@pytest.fixture(scope="module")
def keyed(server: LocalServer) -> Iterator[Pipeline]:
    """A table for each type, with a composite key of a number and the type; copied and applied."""
    root = open_directory()
    with (
        fresh_database(server, "production") as production,
        fresh_database(server, "warehouse", owner="loader") as warehouse,
    ):
        for kind, table in TABLES.items():
            production.execute(f"create table {table} (n int, k {kind}, primary key (n, k))")
            for n, text in enumerate(SPELLED[kind]):
                production.execute(f"insert into {table} values (%s, %s)", (n, text))
        columns = {"n": "keep", "k": "keep"}
        made = Pipeline(
            root, production, warehouse, {f"public.{t}": dict(columns) for t in TABLES.values()}
        )
        made.prepare()
        made.capture()
        apply(made)
        yield made
    shutil.rmtree(root, ignore_errors=True)


def stores(pipeline: Pipeline, request: Request, **elsewhere: Any) -> dict[str, dict[str, Any]]:
    """The stores of the receipt, by name."""
    receipt = verify_erasure(
        pipeline.settings, SystemClock(), request, by="test", elsewhere=Elsewhere(**elsewhere)
    )
    return {store["store"]: store for store in receipt.body["stores"]}


def found(store: dict[str, Any]) -> int:
    return sum(hit["count"] for hit in store["found"])


@pytest.mark.parametrize("kind", SPELLED)
def test_a_row_that_stands_is_found_by_a_composite_kept_key_of_any_type(
    keyed: Pipeline, kind: str
) -> None:
    table = TABLES[kind]
    for n, (text, others) in enumerate(SPELLED[kind].items()):
        assert keyed.warehouse.scalar(f"select count(*) from staging.{table} where n = {n}") == 1
        for spelled in (text, *others):
            told = stores(keyed, Request(TableName("public", table), {"n": str(n), "k": spelled}))
            assert found(told["staging"]) == 1, spelled
            assert found(told["landing"]) == 1, spelled
        missing = {"n": str(n + 1000), "k": text}
        told = stores(keyed, Request(TableName("public", table), missing))
        outcomes = (told["staging"]["outcome"], told["landing"]["outcome"])
        assert outcomes == ("PASS", "PASS"), text


def test_a_value_that_is_none_of_its_type_is_refused_and_not_logged(
    keyed: Pipeline, server: LocalServer
) -> None:
    request = Request(TableName("public", TABLES["uuid"]), {"n": "1", "k": "no-uuid-but-a-secret"})
    with pytest.raises(SettingsInvalid, match="not one of its type") as refused:
        stores(keyed, request)
    assert "secret" not in str(refused.value)
    assert "no-uuid-but-a-secret" not in log_of(server)


PEOPLE = TableName("public", "people")
RULES: dict[str, Any] = {"id": "keep", "ssn": {"mask": "null"}, "email": "keep"}


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """People with a kept number, a number that becomes NULL, and an e-mail that is kept."""
    production.execute("create table people (id bigint primary key, ssn text, email text)")
    production.execute("insert into people values (7340912265, '078-05-1120', 'ann@x.org')")
    made = pipeline({"public.people": dict(RULES)})
    made.prepare()
    return made


def test_a_key_of_which_nothing_is_left_proves_nothing(people: Pipeline) -> None:
    people.capture()
    apply(people)
    told = stores(people, Request(PEOPLE, {"ssn": "078-05-1120"}))
    assert {store["outcome"] for store in told.values()} == {"CANNOT_TELL"}
    assert "nothing is left of the key" in told["staging"]["not_searched"]


def test_a_store_that_is_not_searched_is_no_proof(people: Pipeline, warehouse: Database) -> None:
    people.capture()
    apply(people)
    receipt = verify_erasure(
        people.settings,
        SystemClock(),
        Request(PEOPLE, {"id": "1"}),
        by="test",
        elsewhere=Elsewhere(warehouse.dsn("loader"), (people.root,)),
    )
    told = {store["store"]: store["outcome"] for store in receipt.body["stores"]}
    assert receipt.outcome is Outcome.CANNOT_TELL
    assert told.pop("staging") == told.pop("landing") == told.pop("gold_a") == "PASS"
    assert told.pop("gold_b") == told.pop("history") == "PASS"
    assert told == {"dagster storage": "CANNOT_TELL", "artifacts and logs": "CANNOT_TELL"}


def test_a_row_that_stands_in_rebuilt_tables_is_found_there(people: Pipeline) -> None:
    people.capture()
    apply(people)
    request = Request(PEOPLE, {"id": "7340912265"})
    rebuild(people.settings, SystemClock(), asked=Asked(into="of yesterday", swap=False))
    assert people.warehouse.scalar('select count(*) from "of yesterday".people') == 1
    people.warehouse.execute("delete from staging.people")
    told = stores(people, request)
    assert found(told["staging"]) == 0
    assert found(told["rebuilt: of yesterday"]) == 1


def test_what_was_landed_under_an_older_policy_is_found(
    people: Pipeline, production: Database
) -> None:
    rules: tuple[Any, ...] = (
        "keep",
        {"mask": "token", "domain": "old"},
        {"mask": "email", "domain": "new"},
        {"mask": "null"},
    )
    for number, rule in enumerate(rules):
        people.tables = {"public.people": {**RULES, "email": rule}}
        production.execute(f"update people set ssn = '{number}'")
        people.capture()
        apply(people)
    key = bytes.fromhex(KEY)
    traces = ("ann@x.org", token_of("ann@x.org", "old", key), token_of("ann@x.org", "new", key))
    assert [landed(people, trace) for trace in traces] == [1, 1, 1]
    told = stores(people, Request(PEOPLE, {"id": "1"}, [("email", "ann@x.org")]))
    assert found(told["landing"]) == 3
    told = stores(people, Request(PEOPLE, {"email": "ann@x.org"}))
    rows = [hit for hit in told["landing"]["found"] if hit["what"] == "an event of the row"]
    assert sum(hit["count"] for hit in rows) == 3


def test_rows_of_a_key_that_is_gone_prove_nothing(people: Pipeline, production: Database) -> None:
    people.tables = {"public.people": {**RULES, "email": {"mask": "token", "domain": "e"}}}
    people.capture()
    apply(people)
    production.execute("delete from people")
    people.changes["masking.keys"] = {"k2": {"file": "k2.hex"}}
    people.changes["masking.active_key"] = "k2"
    file = people.root / "k2.hex"
    file.touch(mode=0o600)
    file.write_text("0f1e2d3c4b5a69788796a5b4c3d2e1f0a1b2c3d4e5f60718293a4b5c6d7e8f90")
    told = stores(people, Request(PEOPLE, {"email": "ann@x.org"}))
    for store in ("staging", "landing"):
        assert told[store]["outcome"] == "CANNOT_TELL"
        assert "key k1" in " ".join(told[store]["unreadable"])


def test_a_copy_that_waits_for_an_object_store_is_searched(people: Pipeline) -> None:
    people.changes["landing.url"] = f"memory://{people.slot}/landing"
    people.tables = {"public.people": {**RULES, "email": {"mask": "token", "domain": "e"}}}
    people.capture()
    apply(people)
    token = token_of("bob@x.org", "e", bytes.fromhex(KEY))
    waiting = copies_folder(people.store) / "ready-x" / "part.parquet"
    assert not waiting.is_relative_to(people.root)
    waiting.parent.mkdir(parents=True)
    try:
        pq.write_table(pa.table({"email": [token]}), waiting)
        told = stores(people, Request(PEOPLE, {"email": "bob@x.org"}))
    finally:
        shutil.rmtree(waiting.parents[1])
    (hit,) = (hit for hit in told["landing"]["found"] if hit["what"] == "a token")
    assert str(waiting) in hit["where"]


def test_a_materialized_view_is_searched_and_no_statement_has_the_key(
    people: Pipeline, warehouse: Database, server: LocalServer
) -> None:
    people.tables = {"public.people": {**RULES, "email": {"mask": "token", "domain": "e"}}}
    people.capture()
    apply(people)
    token = token_of("ann@x.org", "e", bytes.fromhex(KEY))
    warehouse.execute("create materialized view staging.kept as select email from staging.people")
    warehouse.execute("grant select on staging.kept to loader")
    warehouse.execute("create table staging.closed (id bigint, email text)")
    before = len(log_of(server))
    request = Request(PEOPLE, {"id": "7340912265"}, [("email", "ann@x.org")])
    told = stores(people, request, dagster_dsn=warehouse.dsn("loader"))
    wheres = {hit["where"] for hit in told["staging"]["found"]}
    assert "staging.kept.email" in wheres
    assert [text.split()[0] for text in told["staging"]["unreadable"]] == ["staging.closed"]
    assert "event" not in wheres
    assert told["dagster storage"]["outcome"] == "CANNOT_TELL", "its tables are elsewhere"
    said = log_of(server)[before:]
    assert "permission denied for table closed" in said
    assert 'from "staging"."closed"' in said, "the statement itself is logged"
    assert not any(text in said for text in ("7340912265", "ann@x.org", token))


def landed(pipeline: Pipeline, text: str) -> int:
    """Rows of landed files in which the text stands, counted by DuckDB."""
    paths = [
        pipeline.store.full(file.path)
        for manifest in manifests(pipeline.store)
        for file in manifest.files
    ]
    with duckdb.connect() as connection:
        return sum(
            connection.execute(
                "select count(*) from read_parquet($1) t where contains(t::varchar, $2)",
                [path, text],
            ).fetchall()[0][0]
            for path in paths
        )


def log_of(server: LocalServer) -> str:
    return (server.data_dir.resolve() / "server.log").read_text()
