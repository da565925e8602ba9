"""Every change of a table's schema has the outcome that docs/reference/schema-changes.md promises.

Oracle: production. All changes are made at once, each to a table of its own, so every case also
shows that it stopped no other table. Staging is compared with production row by row on the columns
that both have; a table that stands still, with what it was before.
Known gaps: what the log and the catalog do not tell is a row of the page, too (`equals=False`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
import pytest

from analytics_replica.domain.batches import BatchKind, LandedFile
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.manifest import manifests
from analytics_replica.postgres.connect import connection
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.staging.apply import apply_pending
from analytics_replica.staging.drift import check_drift
from analytics_replica_tests.architecture.repository import ROOT
from analytics_replica_tests.support.change import KEPT, Change
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.schema_changes import CHANGES
from analytics_replica_tests.support.servers import Database, fresh_database

Row = dict[str, str | None]
Contents = dict[str, list[Row]]
PAGE = ROOT / "docs" / "reference" / "schema-changes.md"

OTHER, LATE, UNLISTED = "other", "late", "unlisted"


@dataclass(frozen=True)
class Outcome:
    """What was found when the changes were applied, or repaired."""

    quarantined: Mapping[TableName, str]
    drift: Mapping[TableName, Verdict]
    production: Contents
    staging: Contents


@dataclass(frozen=True)
class Story:
    """The whole story: before the changes, after them, after the repair."""

    made: Pipeline
    before: Outcome
    between: Outcome
    after: Outcome
    repaired: Outcome


def named(change: Change) -> str:
    return f"t{CHANGES.index(change)}"


def sql(change: Change, statement: str) -> str:
    return statement.replace("@", named(change))


@pytest.fixture(scope="module")
def story(server: LocalServer) -> Iterator[Story]:
    root = open_directory()
    with (
        fresh_database(server, "production") as production,
        fresh_database(server, "warehouse", owner="loader") as warehouse,
    ):
        yield told(Pipeline(root, production, warehouse, {}))
    shutil.rmtree(root, ignore_errors=True)


def told(made: Pipeline) -> Story:
    production = made.production
    for table in (OTHER, LATE, UNLISTED):
        production.execute(f"create table {table} (id int primary key, a text, n int)")
        production.execute(f"insert into {table} values (1, 'x', 1)")
    for change in CHANGES:
        production.execute(sql(change, f"{change.create}; {change.rows}"))
    made.tables = {f"public.{named(c)}": c.rules for c in CHANGES} | {"public.other": KEPT}
    made.prepare()
    _publish(made)
    before = _captured(made)
    _run(made, {c: c.first for c in CHANGES})
    production.execute("alter publication analytics_replica add table late, unlisted")
    between = _captured(made)
    made.tables |= {f"public.{named(c)}": c.then for c in CHANGES if c.then}
    made.tables |= {"public.late": KEPT}
    _run(made, {c: c.second for c in CHANGES if c.second})
    after = _captured(made)
    for change in CHANGES:
        if change.mend:
            production.execute(sql(change, change.mend))
    made.tables = {f"public.{sql(c, c.now_called)}": _repaired(c) for c in CHANGES}
    made.tables |= {"public.other": KEPT, "public.late": KEPT}
    made.prepare()
    return Story(made, before, between, after, _captured(made, first_copy=True))


def _repaired(change: Change) -> Mapping[str, Any]:
    return change.repair or change.then or change.rules


def _publish(made: Pipeline) -> None:
    """The tables that a case wants published whole, without a list of columns."""
    listed = [f"{named(c)}" if c.whole else f"{named(c)} ({', '.join(c.rules)})" for c in CHANGES]
    made.production.execute(
        f"alter publication analytics_replica set table other, {', '.join(listed)}"
    )


def _run(made: Pipeline, work: Mapping[Change, tuple[str, ...]]) -> None:
    for change, transactions in work.items():
        for statement in transactions:
            made.production.execute(sql(change, statement))
    for table in (OTHER, LATE, UNLISTED):
        made.production.execute(f"insert into {table} select max(id) + 1, 'y', 2 from {table}")


def _captured(made: Pipeline, **options: Any) -> Outcome:
    made.capture(**options)
    report = apply_pending(made.settings, SystemClock())
    with connection(made.warehouse.dsn("loader")) as opened:
        drift = check_drift(opened, made.settings, made.store)
    return Outcome(
        report.quarantined, drift, _contents(made.production, "public"),
        _contents(made.warehouse, "staging"),
    )  # fmt: skip


def _contents(database: Database, schema: str) -> Contents:
    with connection(database.dsn()) as opened, opened.cursor() as cursor:
        cursor.execute(f"select tablename::text from pg_tables where schemaname = '{schema}'")
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'select * from {schema}."{table}" limit 0')
            names = [column.name for column in cursor.description or ()]
            texts = ", ".join(f'"{name}"::text' for name in names)
            cursor.execute(f'select {texts} from {schema}."{table}"')
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return found


def same_rows(one: list[Row], other: list[Row], columns: Mapping[str, Any]) -> bool:
    """True if both have the same rows in the columns that both have."""
    common = [c for c in columns if c in one[0] and c in other[0]]
    assert common
    images = [sorted(str([row[c] for c in common]) for row in rows) for rows in (one, other)]
    return images[0] == images[1]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.name)
def test_a_change_has_the_outcome_that_the_page_promises(story: Story, change: Change) -> None:
    table, after = TableName("public", named(change)), story.after
    there = after.production.get(sql(change, change.now_called), [])
    staged, rules = after.staging[named(change)], change.then or change.rules
    reason = after.quarantined.get(table)
    if change.stands_still is None:
        assert reason is None
        assert same_rows(there, staged, rules) is change.equals
        assert re.search(sql(change, change.drift), after.drift[table].summary(), re.DOTALL)
    else:
        assert re.search(change.stands_still, reason or "")
        last_good = story.between if change.second else story.before
        assert staged == last_good.staging[named(change)]
        assert "stands still" in after.drift[table].summary()
    landed = [file for m in manifests(story.made.store) for file in m.files if file.table == table]
    copied = {file.path for file in _copies(story.made) if file.table == table}
    assert sum(file.rows for file in landed if file.path not in copied) == change.landed


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.name)
def test_a_new_copy_repairs_every_change(story: Story, change: Change) -> None:
    name = sql(change, change.now_called)
    after, rules = story.repaired, _repaired(change)
    kept = {column: rule for column, rule in rules.items() if rule == "keep"}
    assert TableName("public", name) not in after.quarantined
    assert same_rows(after.production[name], after.staging[name], kept)
    assert set(kept) <= set(after.staging[name][0])
    assert after.drift[TableName("public", name)].passed


def test_a_landed_column_says_why_it_is_sealed(story: Story) -> None:
    said = {
        column.treatment
        for manifest in manifests(story.made.store)
        for file in manifest.files
        for column in file.columns
        if column.treatment.startswith("sealed")
    }
    assert said == {
        "sealed",
        "sealed: mask json does not fit its type text",
        "sealed: it identifies rows and the policy says sealed",
    }


def test_all_other_tables_go_on(story: Story) -> None:
    for outcome in (story.after, story.repaired):
        assert same_rows(outcome.production[OTHER], outcome.staging[OTHER], KEPT)
        assert outcome.drift[TableName("public", OTHER)].passed
    assert check_contiguity(story.made.store).passed


def test_a_table_that_was_never_copied_is_landed_and_waits_for_its_copy(story: Story) -> None:
    late = TableName("public", LATE)
    assert "no copy of it was landed" in story.after.quarantined[late]
    assert LATE not in story.after.staging
    assert len(story.made.landed("public.late")) == 4
    assert same_rows(story.repaired.production[LATE], story.repaired.staging[LATE], KEPT)


def test_a_published_table_that_replica_yaml_does_not_list_is_left_out(story: Story) -> None:
    assert story.made.landed("public.unlisted") == []
    assert UNLISTED not in story.repaired.staging


def test_what_nobody_classified_is_in_no_file(story: Story) -> None:
    stream = [m for m in manifests(story.made.store) if m.kind is BatchKind.STREAM]
    for manifest in stream:
        for file in manifest.files:
            found = str(pq.read_table(story.made.store.full(file.path)).to_pydict())
            assert "secret" not in found, file.table
            assert "777777" not in found, file.table


def test_the_page_has_a_row_for_every_change_and_no_other() -> None:
    rows = re.findall(r"^\| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row not in ("change", "---")] == [c.name for c in CHANGES]


def _copies(made: Pipeline) -> list[LandedFile]:
    return [f for m in manifests(made.store) if m.kind is BatchKind.COPY for f in m.files]
