"""A person deleted in production leaves staging, gold and landing, and the receipt proves it.

Real production, landing, warehouse, dbt and Dagster on PostgreSQL. Oracles: the receipt is held
against a search of our own over landing's pages (DuckDB) and the warehouse's rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.masking.strategies.hmac_tokens import token_of
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.serving.erasure.verify import digest_of
from analytics_replica.staging.rebuild import rebuild
from analytics_replica_tests.support.commands import Ended, call_on
from analytics_replica_tests.support.nights import House, house
from analytics_replica_tests.support.pipeline import KEY

pytestmark = pytest.mark.slow

DELETE = """
delete from club.visits where member_id = 1;
delete from club.members where id = 1
"""

RAW = "Ann@Example.com"
TOKEN = token_of("ann@example.com", "email", bytes.fromhex(KEY))


@pytest.fixture(scope="module")
def erased(server: LocalServer) -> Iterator[House]:
    """A house in which Ann was seen for two nights, was deleted, and two more nights passed."""
    with house(server) as made, made.instance() as instance:
        for statement in ("select 1", "select 1", DELETE, "select 1"):
            made.production.execute(statement)
            report = made.night(instance)
            assert report.error is None, report.error
        yield made


def verify(club: House, *arguments: str) -> Ended:
    """`erasure verify` of Ann, with her e-mail, as JSON."""
    return call_on(
        club.pipeline,
        *("erasure", "verify", "club.members", "1", "--value", f"email={RAW}", "--json"),
        *arguments,
        DAGSTER_HOME=str(club.root / "dagster_home"),
    )


@contextmanager
def planted(club: House, schema: str, columns: str) -> Iterator[None]:
    """A table of the warehouse's owner with one row that should not be there."""
    with club.warehouse.session("loader") as cursor:
        cursor.execute(f"create table {schema}.remnant as select {columns}")
    try:
        yield
    finally:
        club.warehouse.execute(f"drop table {schema}.remnant")


def failing(ended: Ended) -> set[str]:
    """The stores that are not clean."""
    return {store["store"] for store in ended.json["stores"] if store["outcome"] != "PASS"}


def landed_tokens(club: House) -> int:
    """Rows of any landed Parquet file that have Ann's token."""
    files = [str(path) for path in (club.root / "landing").rglob("*.parquet")]
    with duckdb.connect() as connection:
        return sum(
            connection.execute(
                "select count(*) from read_parquet($1) t where contains(t::varchar, $2)",
                [file, TOKEN],
            ).fetchall()[0][0]
            for file in files
        )


def test_a_deleted_person_is_left_in_landing_only_until_it_is_folded(erased: House) -> None:
    before = verify(erased)
    assert before.code == 73
    assert failing(before) == {"landing"}
    assert landed_tokens(erased) > 0
    told = next(s for s in before.json["stores"] if s["store"] == "landing")
    assert {hit["gone"][:10] for hit in told["found"]} == {"first fold"}
    rows = erased.warehouse.rows("select m::text from staging.members m order by 1")

    folded = call_on(erased.pipeline, "landing", "fold", "--before", "now", "--json")
    assert folded.code == 0, folded.err
    assert folded.json["batches_removed"] >= 1

    after = verify(erased)
    assert (after.code, failing(after)) == (0, set()), after.out
    assert landed_tokens(erased) == 0
    rebuild(erased.settings, SystemClock())
    assert erased.warehouse.rows("select m::text from staging.members m order by 1") == rows


def test_after_a_fold_the_next_night_goes_on(erased: House) -> None:
    call_on(erased.pipeline, "landing", "fold", "--before", "now")
    erased.production.execute("update club.members set town = 'Rome' where id = 2")
    with erased.instance() as instance:
        report = erased.night(instance)
    assert report.failed_checks == ()
    assert erased.warehouse.rows("select id, town from staging.members") == [(2, "Rome")]
    assert call_on(erased.pipeline, "landing", "fold", "--before", "now").code == 0


def test_a_receipt_tells_neither_the_key_nor_its_token(erased: House) -> None:
    ended = verify(erased)
    for text in (ended.out, ended.err):
        assert RAW.lower() not in text.lower()
        assert TOKEN not in text
    body = dict(ended.json)
    assert body.pop("digest") == digest_of(body)
    assert body["key_ids"] == ["k1"]
    assert "Production was not queried" in " ".join(body["limits"])
    again = verify(erased)
    assert again.json["reference"] == body["reference"]


@pytest.mark.parametrize("schema", ["staging", "gold_a", "gold_b"])
def test_a_remnant_in_any_schema_fails(erased: House, schema: str) -> None:
    call_on(erased.pipeline, "landing", "fold", "--before", "now")
    with planted(erased, schema, f"jsonb_build_object('who', '{TOKEN}') as note"):
        ended = verify(erased)
    assert (ended.code, failing(ended)) == (73, {schema})
    assert f"{schema}.remnant.note" in ended.out


def test_a_kept_key_that_another_table_names_fails(erased: House) -> None:
    call_on(erased.pipeline, "landing", "fold", "--before", "now")
    with planted(erased, "gold_b", "1::bigint as member_id"):
        ended = verify(erased)
    assert (ended.code, failing(ended)) == (73, {"gold_b"})


def test_a_remnant_in_landing_that_no_manifest_names_fails(erased: House) -> None:
    call_on(erased.pipeline, "landing", "fold", "--before", "now")
    folders = ("data/club/members", "copies/ready-x", "folding", "unfinished")
    for folder in folders:
        path = erased.root / "landing" / folder / "0000000099-001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"email": [f"{TOKEN}@example.com"]}), path)
        ended = verify(erased)
        path.unlink()
        assert (ended.code, failing(ended)) == (73, {"landing"}), folder


def test_what_cannot_be_read_is_no_proof(erased: House) -> None:
    call_on(erased.pipeline, "landing", "fold", "--before", "now")
    erased.warehouse.execute("create table gold_a.closed as select 1 as n")
    ended = verify(erased)
    erased.warehouse.execute("drop table gold_a.closed")
    assert (ended.code, failing(ended)) == (74, {"gold_a"}), "another role's table"
    torn = erased.root / "landing" / "unfinished" / "0123456789abcdef"
    torn.parent.mkdir(exist_ok=True)
    torn.write_bytes(b"PAR1 and no footer")
    ended = verify(erased)
    torn.unlink()
    assert (ended.code, failing(ended)) == (74, {"landing"})


def test_a_remnant_in_dagsters_storage_or_dbts_artifacts_fails(erased: House) -> None:
    call_on(erased.pipeline, "landing", "fold", "--before", "now")
    erased.dagster.execute(f"create table remnant as select 'said {TOKEN} once' as body")
    ended = verify(erased)
    erased.dagster.execute("drop table remnant")
    assert failing(ended) == {"dagster storage"}
    artifact = erased.root / "dbt_project" / "target" / "remnant.json"
    artifact.write_text(json.dumps({"failures": [TOKEN]}))
    ended = verify(erased)
    artifact.unlink()
    assert failing(ended) == {"artifacts and logs"}
    assert Path(artifact).name in ended.out


def test_a_token_under_an_older_key_is_found(erased: House) -> None:
    call_on(erased.pipeline, "landing", "fold", "--before", "now")
    older = "0f1e2d3c4b5a69788796a5b4c3d2e1f0a1b2c3d4e5f60718293a4b5c6d7e8f90"
    erased.pipeline.changes["masking.keys"] = {
        "k1": {"env": "MASKING_KEY"},
        "k0": {"file": "k0.hex"},
    }
    file = erased.root / "k0.hex"
    file.touch(mode=0o600)
    file.write_text(older)
    token = token_of("ann@example.com", "email", bytes.fromhex(older))
    with planted(erased, "gold_a", f"'{token}@x.org' as who"):
        ended = verify(erased)
    del erased.pipeline.changes["masking.keys"]
    assert (ended.code, failing(ended)) == (73, {"gold_a"})


def test_somebody_who_is_still_there_is_found_in_every_layer(erased: House) -> None:
    ended = call_on(
        erased.pipeline,
        *("erasure", "verify", "club.members", "--key", "id=2", "--json"),
        DAGSTER_HOME=str(erased.root / "dagster_home"),
    )
    assert ended.code == 73
    outcomes = {store["store"]: store["outcome"] for store in ended.json["stores"]}
    unproven = {name for name, outcome in outcomes.items() if outcome == "CANNOT_TELL"}
    assert unproven == {"dagster storage", "artifacts and logs"}, "a kept number is not told there"
    assert failing(ended) - unproven == {"staging", "gold_a", "gold_b", "landing"}
