"""Staging against landing's replay: what was changed by hand is found and named.

Oracle: the test itself, which changes one thing in PostgreSQL and knows what it changed. Not here:
a physical copy as the other side (test_reconciliation_copy.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_replica.domain.verdicts import Outcome, Verdict
from analytics_replica.staging.reconciliation import judgement
from analytics_replica_tests.support.drawings import Drawn
from analytics_replica_tests.support.every_type import EVERYTHING, KINDS, OTHER, ROWS
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, (PEOPLE,))


def judged(landing: Landing, warehouse: Database, drawing: Drawn = PEOPLE) -> Verdict:
    return judgement.against_landing(landing.settings(warehouse), drawing.table)


def found(landing: Landing, warehouse: Database, drawing: Drawn = PEOPLE) -> list[str]:
    verdict = judged(landing, warehouse, drawing)
    assert verdict.outcome is (Outcome.FAIL if verdict.findings else Outcome.PASS)
    return [str(finding) for finding in verdict.findings]


def everything(tmp_path: Path, warehouse: Database) -> Landing:
    made = Landing(tmp_path, (EVERYTHING,))
    made.copy_rows("0/100", {EVERYTHING: ROWS})
    made.apply(warehouse)
    return made


def test_staging_as_landed_passes_with_the_position_that_was_compared(
    landing: Landing, warehouse: Database
) -> None:
    assert judged(landing, warehouse).outcome is Outcome.CANNOT_TELL
    three_people(landing, warehouse)
    verdict = judged(landing, warehouse)
    assert verdict.outcome is Outcome.PASS
    assert verdict.figures == {
        "against": "landing",
        "lsn": "0/100",
        "rows": 3,
        "rows_expected": 3,
        "columns": 3,
    }


def test_values_of_every_type_and_those_that_arrow_cannot_hold_are_equal(
    tmp_path: Path, warehouse: Database
) -> None:
    made = everything(tmp_path, warehouse)
    assert warehouse.scalar("select count(*) from staging.everything") == 5
    assert found(made, warehouse, EVERYTHING) == []


def test_one_changed_cell_of_any_type_is_found_and_named(
    tmp_path: Path, warehouse: Database
) -> None:
    made = everything(tmp_path, warehouse)
    for column, value in OTHER.items():
        warehouse.execute("create table kept as select * from staging.everything")
        warehouse.execute(f'update staging.everything set "{column}" = {value} where id = 1')
        assert found(made, warehouse, EVERYTHING) == [
            f"staging.everything.{column}: differs in 1 row",
            f"staging.everything id=1: differs in {column}",
        ]
        warehouse.execute(
            "delete from staging.everything; insert into staging.everything select * from kept; "
            "drop table kept"
        )
    assert found(made, warehouse, EVERYTHING) == []


def test_a_null_is_not_a_value(tmp_path: Path, warehouse: Database) -> None:
    made = everything(tmp_path, warehouse)
    columns = [column for column in KINDS if column != "id"]
    nulls = ", ".join(f'"{column}" = null' for column in columns)
    warehouse.execute(f"update staging.everything set {nulls} where id = 4")
    assert f"staging.everything id=4: differs in {', '.join(columns)}" in found(
        made, warehouse, EVERYTHING
    )


def test_the_sign_of_zero_is_part_of_a_value(tmp_path: Path, warehouse: Database) -> None:
    made = everything(tmp_path, warehouse)
    warehouse.execute("update staging.everything set double = 0, real = 0 where id = 2")
    assert "staging.everything id=2: differs in real, double" in found(made, warehouse, EVERYTHING)


def test_a_row_too_few_and_a_row_too_many_are_named(landing: Landing, warehouse: Database) -> None:
    three_people(landing, warehouse)
    warehouse.execute("delete from staging.people where id = 2")
    warehouse.execute("insert into staging.people values (9, 'x', 'y', '0/1')")
    verdict = judged(landing, warehouse)
    assert [str(finding) for finding in verdict.findings] == [
        "staging.people id=2: is missing from staging (once expected)",
        "staging.people id=9: is in staging (once) and should not be",
    ]
    assert (verdict.figures["rows"], verdict.figures["differing_rows"]) == (3, "2")


def test_two_values_of_a_column_that_changed_places_are_found(
    landing: Landing, warehouse: Database
) -> None:
    """The sum of the column's values alone would be the same."""
    three_people(landing, warehouse)
    warehouse.execute(
        "update staging.people set city = case id when 1 then 'Bergen' else 'Oslo' end "
        "where id in (1, 2)"
    )
    assert found(landing, warehouse) == [
        "staging.people.city: differs in 2 rows",
        "staging.people id=1: differs in city",
        "staging.people id=2: differs in city",
    ]


def test_two_columns_of_a_row_that_changed_places_are_found(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    warehouse.execute("update staging.people set city = bio, bio = city where id = 1")
    assert "staging.people id=1: differs in city, bio" in found(landing, warehouse)


def test_changes_moves_and_values_that_were_not_logged_are_replayed(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    events = """
    lsn   | op     | id | city   | bio
    0/110 | update | 1  | Rome   | ~
    0/120 | delete | 2  |        |
    0/120 | move   | 7  | Bergen | ~
    0/130 | delete | 3  |        |
    0/140 | insert | 4  | Nice   | four
    """
    landing.stream("0/200", {PEOPLE: events})
    landing.apply(warehouse)
    assert found(landing, warehouse) == []
    warehouse.execute("update staging.people set bio = 'tow' where id = 7")
    assert found(landing, warehouse)[1:] == ["staging.people id=7: differs in bio"]


def test_batches_that_staging_does_not_contain_yet_are_not_expected_of_it(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    landing.stream("0/200", {PEOPLE: "lsn | op | id | city | bio\n0/110 | delete | 1 | |"})
    verdict = judged(landing, warehouse)
    assert (verdict.outcome, verdict.figures["lsn"]) == (Outcome.PASS, "0/100")


def test_a_table_without_a_key_is_compared_as_a_multiset(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (LOG,))
    landing.copy("0/100", {LOG: "at | line\n2026-01-01 | a\n2026-01-01 | a\n | b\n | b\n | "})
    landing.stream("0/200", {LOG: "lsn | op | at | line\n0/110 | delete | | b"})
    landing.apply(warehouse)
    assert found(landing, warehouse, LOG) == []
    copy = "insert into staging.log select * from staging.log where line = 'a' limit 1"
    warehouse.execute(copy)
    (more,) = found(landing, warehouse, LOG)
    assert more.endswith("is in staging 3 times, 2 times expected")
    warehouse.execute(copy)
    assert "is in staging 4 times" in found(landing, warehouse, LOG)[0], "two do not cancel out"
    warehouse.execute("delete from staging.log where line = 'a'")
    assert "is missing from staging (2 times expected)" in found(landing, warehouse, LOG)[0]


def test_a_value_that_moved_within_a_table_without_a_key_is_found(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (LOG,))
    landing.copy("0/100", {LOG: "at | line\n2026-01-01 | a\n2026-01-02 | b"})
    landing.apply(warehouse)
    warehouse.execute("update staging.log set line = case line when 'a' then 'b' else 'a' end")
    assert len(found(landing, warehouse, LOG)) == 4


def test_masked_columns_are_compared_as_they_are_in_staging(
    tmp_path: Path, warehouse: Database
) -> None:
    """A masked document is landed in another form than jsonb prints."""
    treatments = {"id": "token domain=id as=uuid key=k1", "mail": "token domain=e key=k1"}
    columns = {"id": "uuid key", "mail": "text", "doc": "jsonb"}
    masked = Drawn("shop.masked", columns, {**treatments, "doc": "json paths=a"})
    landing = Landing(tmp_path, (masked,))
    rows = """
    id                                   | mail | doc
    6f1f3c54-5a5c-4d4e-9a9e-0123456789ab | 5f5f | {"b":1,"a":2}
    6f1f3c54-5a5c-4d4e-9a9e-0123456789ac |      | {"a":[1,2]}
    """
    landing.copy("0/100", {masked: rows})
    landing.apply(warehouse)
    assert found(landing, warehouse, masked) == []
    warehouse.execute("update staging.masked set mail = 'raw@example.com' where mail is not null")
    assert found(landing, warehouse, masked) == [
        "staging.masked.mail: differs in 1 row",
        "staging.masked id=6f1f3c54-5a5c-4d4e-9a9e-0123456789ab: differs in mail",
    ]


def test_a_file_that_is_not_what_was_landed_is_no_ground_for_a_judgement(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    (file,) = (Path(landing.store.url) / "data").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    verdict = judged(landing, warehouse)
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert f"{file.name} is not the file that was landed" in verdict.summary()


def test_a_table_and_a_column_that_are_gone_are_named(
    landing: Landing, warehouse: Database
) -> None:
    three_people(landing, warehouse)
    warehouse.execute("alter table staging.people drop column bio")
    assert found(landing, warehouse) == ["staging.people.bio: is landed and not in staging"]
    warehouse.execute("drop table staging.people")
    assert judged(landing, warehouse).outcome is Outcome.FAIL


def test_names_of_any_form_are_compared(tmp_path: Path, warehouse: Database) -> None:
    odd = Drawn('"Ærø %s"."so ""odd"" {0}"', {'ke"y %s': "integer key", "%(x)s {y}": "text"})
    landing = Landing(tmp_path, (odd,))
    landing.copy("0/100", {odd: 'ke"y %s | %(x)s {y}\n1 | a\n2 | b'})
    landing.apply(warehouse)
    assert found(landing, warehouse, odd) == []


def test_many_rows_that_differ_are_counted_and_some_are_named(
    tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE,))
    rows = [{"id": str(n), "city": f"c{n}", "bio": None} for n in range(500)]
    landing.copy_rows("0/100", {PEOPLE: rows})
    landing.apply(warehouse)
    warehouse.execute("update staging.people set city = 'x' where id < 30")
    verdict = judged(landing, warehouse)
    assert len(verdict.findings) == 21
    assert verdict.figures["differing_columns"] == "city"
    assert str(verdict.findings[0]) == "staging.people.city: differs in 30 rows"
