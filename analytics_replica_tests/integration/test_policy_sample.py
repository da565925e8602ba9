"""Sampling a physical copy: what it finds, and that no value and no backup is left anywhere.

Judged with real standbys and base backups, by searching every byte that is left for planted values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import CopyFailed
from analytics_replica.landing import sampling
from analytics_replica.landing.sampling import sample, sample_of
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.settings.load import load_settings
from analytics_replica.source.physical_copy import inspect
from analytics_replica_tests.support.commands import call, call_on
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database
from analytics_replica_tests.support.standbys import Standby, standby_of

PLANTED = "planted-raw-value"
PEOPLE = TableName("public", "people")
EVENTS = TableName("public", "events")
TABLES = {
    "public.people": {"id": "keep", "status": "keep"},
    "public.events": {"id": "keep", "at": "keep"},
}
SCHEMA = f"""
create table people (id int primary key, status text, c1 text, c2 text, c3 jsonb, big text);
insert into people select n, 'open', '{PLANTED}' || n || '@example.org', null,
    json_build_object('mail', '{PLANTED}@example.org'), repeat('x', 3000)
from generate_series(1, 5000) n;
create table events (id int primary key, at date, ip text) partition by range (id);
create table events_1 partition of events for values from (1) to (600);
create table events_2 partition of events for values from (600) to (2000);
insert into events select n, '2026-01-01', '10.0.0.' || n % 250 from generate_series(1, 1000) n;
"""


@pytest.fixture(scope="module")
def standby(server: LocalServer) -> Iterator[Standby]:
    with standby_of(server) as made:
        yield made


@pytest.fixture
def people(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            production.execute(statement)
    made = pipeline(TABLES)
    made.prepare()
    return made


def holding_raw(directory: Path) -> list[Path]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return [path for path in files if PLANTED.encode() in path.read_bytes()]


def test_a_paused_standby_is_sampled_and_only_shares_are_told(
    people: Pipeline, standby: Standby
) -> None:
    standby.stand_still()
    standby.is_copied_by(people)
    ended = call_on(people, "policy", "suggest", "--sample", "--json")
    assert ended.code == 0, ended.err
    said = {f"{one['table']}.{one['column']}": one for one in ended.json["columns"]}
    assert set(said) == {
        *(f"public.people.{c}" for c in ("c1", "c2", "c3", "big")),
        "public.events.ip",
    }
    c1 = said["public.people.c1"]
    assert (c1["class"], c1["decide"]) == ("email", False)
    assert c1["reason"] == "100 % of 2,000 sampled values are e-mail addresses"
    assert said["public.people.c2"]["decide"]
    assert said["public.people.c3"]["sample"]["inside"] == 1
    assert (said["public.events.ip"]["class"], said["public.events.ip"]["sample"]["values"]) == (
        "ip",
        1000,
    )
    assert PLANTED not in ended.out + ended.err
    assert "10.0.0." not in ended.out + ended.err


def test_a_kept_column_with_personal_values_fails_the_check_until_there_is_a_reason(
    people: Pipeline, standby: Standby
) -> None:
    people.tables = {
        "public.people": {
            **dict.fromkeys(["id", "status", "c1"], "keep"),
            **dict.fromkeys(["c2", "c3", "big"], "drop"),
        },
        "public.events": dict.fromkeys(["id", "at", "ip"], "drop") | {"id": "keep"},
    }
    standby.stand_still()
    standby.is_copied_by(people)
    assert call_on(people, "policy", "check").code == 0
    ended = call_on(people, "policy", "check", "--sample", "--json")
    assert ended.code == 40
    assert [one["column"] for one in ended.json["objections"]] == ["c1"]
    assert PLANTED not in ended.out + ended.err
    people.tables["public.people"] = {
        **people.tables["public.people"],
        "c1": {"mask": "keep", "because": "addresses that we made up ourselves"},
    }
    assert call_on(people, "policy", "check", "--sample").code == 0


def test_without_a_physical_copy_a_base_backup_is_sampled_and_gone_afterwards(
    people: Pipeline,
) -> None:
    ended = call_on(people, "policy", "suggest", "--sample", "--json")
    assert ended.code == 0, ended.err
    assert {one["class"] for one in ended.json["columns"] if one["column"] == "c1"} == {"email"}
    assert holding_raw(people.root) == []
    assert not (people.root / "copy" / "base_backup").exists()
    kept = people.production.scalar("select count(*) from pg_replication_slots where temporary")
    assert kept == 0


def test_a_base_backup_is_gone_also_if_the_sample_fails(
    people: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def broken(*_: object, **__: object) -> None:
        seen.append(len(holding_raw(people.root)))
        raise RuntimeError(PLANTED)

    monkeypatch.setattr(sampling, "look_at", broken)
    with pytest.raises(RuntimeError):
        sample(people.settings, [PEOPLE])
    assert seen[0] > 0, "the backup holds raw values while it is read"
    assert holding_raw(people.root) == []
    assert not (people.root / "copy" / "base_backup").exists()


def test_at_most_so_many_rows_are_looked_at_and_the_same_ones_again(
    people: Pipeline, standby: Standby
) -> None:
    standby.stand_still()
    copy = inspect(standby.server.dsn(people.production.name))
    first, again = (sample_of(copy, [PEOPLE, EVENTS], rows=100) for _ in range(2))
    assert first.of(PEOPLE)["c1"].sampled == 100
    assert first.evidence == again.evidence
    assert first.unread == {}


def test_a_table_that_takes_too_long_is_named_and_not_waited_for(
    people: Pipeline, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "AT_MOST", timedelta(milliseconds=1))
    people.production.execute(
        "insert into people select n, 'late' from generate_series(5001, 90000) n"
    )
    standby.stand_still()
    copy = inspect(standby.server.dsn(people.production.name))
    read = sample_of(copy, [PEOPLE], rows=50_000)
    assert list(read.unread) == [PEOPLE]
    assert "took longer" in read.unread[PEOPLE]


def test_production_itself_is_never_sampled(people: Pipeline) -> None:
    (people.root / ".env").write_text(f"COPY_DSN='{people.production.dsn()}'\n")
    people.changes["source.physical_copy"] = {"env": "COPY_DSN"}
    with pytest.raises(CopyFailed, match="it never replayed a log"):
        sample(people.settings, [PEOPLE])


def test_suggestions_from_a_catalog_are_written_and_accepted(people: Pipeline) -> None:
    file = people.settings.file
    dsn = people.production.dsn()
    environ = people.settings.secrets.environ
    file.write_text("# by hand\n" + file.read_text(encoding="utf-8"), encoding="utf-8")

    def policy(*arguments: str) -> tuple[int, str]:
        ended = call("--config", str(file), "policy", *arguments, environ=environ)
        return ended.code, ended.out

    assert policy("check", "--catalog", dsn)[0] == 40
    assert policy("suggest", "--catalog", dsn, "--write")[0] == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# by hand\n")
    assert "# decide:" in text
    assert policy("check", "--catalog", dsn)[0] == 0
    assert load_settings(file, environ).replica.tables["public.events"].columns["ip"]
    assert json.loads(policy("suggest", "--catalog", dsn, "--json")[1])["columns"] == []
