"""A gold model is proved by what its columns are made of, and a huge table by a stated sample."""

from __future__ import annotations

import re

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Outcome, Verdict
from analytics_replica.masking.proof.models import ColumnOrigin, Origin, prove_model
from analytics_replica.masking.treatments import SEALED
from analytics_replica.postgres.connect import connection
from analytics_replica_tests.support.proving import KEEP, hold, proof_of
from analytics_replica_tests.support.servers import Database

TOKEN = 'token {"domain":"d","key":"k1"}'
EMAIL = 'email {"domain":"d","key":"k1"}'
HELD = TableName("gold_a", "dim_person")
HEX = "0123456789abcdef" * 2


def made_of(
    *treatments: str | None, unchanged: bool = False, allowed: bool = False
) -> ColumnOrigin:
    origins = (Origin(f"staging.t.c{n}", said, allowed) for n, said in enumerate(treatments))
    return ColumnOrigin(frozenset(origins), unchanged)


def verdict(warehouse: Database, made: ColumnOrigin | None, *values: str) -> Verdict:
    warehouse.execute("create schema if not exists gold_a; drop table if exists gold_a.dim_person")
    warehouse.execute("create table gold_a.dim_person (c text)")
    for value in values:
        warehouse.execute("insert into gold_a.dim_person values (%s)", (value,))
    with connection(warehouse.dsn()) as opened:
        return prove_model(opened, HELD, {} if made is None else {"c": made})


def test_a_masked_column_that_is_handed_on_has_its_format(warehouse: Database) -> None:
    assert verdict(warehouse, made_of(TOKEN, unchanged=True), HEX, "").passed
    raw = verdict(warehouse, made_of(TOKEN, unchanged=True), HEX, "Ann King")
    assert "gold_a.dim_person.c: 1 of 2 values do not look like token" in raw.summary()
    assert "Ann" not in repr(raw)


def test_two_keys_of_one_mask_are_one_format(warehouse: Database) -> None:
    both = made_of(TOKEN, TOKEN.replace("k1", "k2"), unchanged=True)
    assert verdict(warehouse, both, HEX).passed
    assert not verdict(warehouse, both, "Ann King").passed


def test_what_is_computed_must_not_parse_as_a_persons(warehouse: Database) -> None:
    assert verdict(warehouse, made_of(EMAIL), f"mailto:{HEX}@example.com").passed
    for made in (made_of(EMAIL), made_of("keep", TOKEN), made_of("keep", unchanged=True)):
        bad = verdict(warehouse, made, "x", "mailto:ann@example.com")
        assert "1 of 2 values parse as e-mail addresses" in bad.summary()
    assert not verdict(warehouse, ColumnOrigin(), "+1 555 010 0199").passed


def test_a_column_without_a_masked_or_kept_lineage_fails_though_it_is_empty(
    warehouse: Database,
) -> None:
    for made, reason in (
        (None, "its lineage cannot be read"),
        (ColumnOrigin(unread=frozenset({"raw.people"})), "raw.people, of which the policy says"),
        (made_of("sealed"), "staging.t.c0, which nobody classified"),
        (made_of(None), "staging.t.c0, which nobody classified"),
    ):
        found = verdict(warehouse, made)
        assert found.outcome is Outcome.FAIL
        assert str(found.findings[0]).startswith("dim_person.c: ")
        assert reason in found.summary()


def test_what_the_policy_allows_may_be_shown(warehouse: Database) -> None:
    made = made_of("keep", unchanged=True, allowed=True)
    assert verdict(warehouse, made, "help@example.com").passed


def test_a_model_that_is_not_there_is_not_a_pass(warehouse: Database) -> None:
    with connection(warehouse.dsn()) as opened:
        assert prove_model(opened, HELD, {}).outcome is Outcome.CANNOT_TELL


def test_a_view_is_proved_like_a_table(warehouse: Database) -> None:
    verdict(warehouse, ColumnOrigin(), "ann@example.com")
    warehouse.execute("create view gold_a.seen as select c from gold_a.dim_person")
    with connection(warehouse.dsn()) as opened:
        made = {"c": made_of("keep")}
        assert not prove_model(opened, TableName("gold_a", "seen"), made).passed


def test_a_huge_table_is_sampled_and_the_smallest_leak_is_stated(warehouse: Database) -> None:
    hold(warehouse, "text", [])
    warehouse.execute(
        "insert into staging.people select repeat('x', 200) from generate_series(1, 50000)"
    )
    full = proof_of(warehouse, KEEP)
    assert (full.figures["rows_scanned"], full.figures["scanned"]) == (50_000, "every row")
    assert str(full.figures["smallest_leak"]).startswith("1 value")
    half = int(warehouse.scalar("select pg_table_size('staging.people') / 2"))
    nights = [proof_of(warehouse, KEEP, seed=seed, full_bytes=half) for seed in (1, 1, 2)]
    read = [int(night.figures["rows_scanned"]) for night in nights]
    assert all(night.passed for night in nights)
    assert all(20_000 < rows < 30_000 for rows in read)
    assert read[0] == read[1]
    told = str(nights[0].figures["smallest_leak"])
    stated = re.match(r"([0-9.]+)% of the rows with 95 % confidence", told)
    assert stated is not None
    assert 2.9 / read[0] < float(stated[1]) / 100 < 3.1 / read[0]
    assert "is met with 95 % within 5 nights" in told
    assert re.match(r"a sample: [0-9,]+ of about [0-9,]+ rows", str(nights[0].figures["scanned"]))


def test_a_leak_in_one_block_is_met_by_the_sample_of_some_night(warehouse: Database) -> None:
    hold(warehouse, "text", [])
    warehouse.execute(
        "insert into staging.people select repeat('x', 200) from generate_series(1, 5000);"
        "insert into staging.people values ('ann@example.com')"
    )
    half = int(warehouse.scalar("select pg_table_size('staging.people') / 2"))
    found = [not proof_of(warehouse, KEEP, seed=seed, full_bytes=half).passed for seed in range(20)]
    assert 2 < sum(found) < 18
    assert not proof_of(warehouse, KEEP).passed


def test_a_sample_of_a_sealed_table_reads_the_same_rows_twice(warehouse: Database) -> None:
    hold(warehouse, "text", ["+1 555 010 0199"] * 2000)
    small = 8192 * 4
    kept = proof_of(warehouse, KEEP, seed=7, full_bytes=small)
    sealed = proof_of(warehouse, SEALED, seed=7, full_bytes=small)
    counts = {str(v.findings[0]).split(": ")[1].split()[0] for v in (kept, sealed)}
    assert len(counts) == 1
