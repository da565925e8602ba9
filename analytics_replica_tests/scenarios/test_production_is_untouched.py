"""What our role does on production, read from production's own log.

Oracle: PostgreSQL with log_statement = all and log_replication_commands = on.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import psycopg2
import pytest

from analytics_replica_tests.support.pipeline import Columns, Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

LOGGED = {
    "log_statement": "all",
    "log_replication_commands": "on",
    "log_line_prefix": "@%u@%b@ ",
}
CATALOGS = {
    "pg_replication_slots",
    "pg_publication",
    "pg_publication_rel",
    "pg_settings",
    "pg_depend",
    "pg_class",
    "pg_namespace",
    "pg_inherits",
    "pg_attribute",
    "pg_index",
    "pg_am",
    "pg_description",
    "pg_enum",
    "pg_opclass",
    "pg_range",
    "pg_type",
}
OWN_NAMES = {"part", "lateral", "published", "used", "described", "indexed", "unnest"}
"""What the statement itself calls its parts."""
REPLICATION_COMMANDS = {"IDENTIFY_SYSTEM", "START_REPLICATION", "BASE_BACKUP", "SHOW"}


@pytest.fixture
def logged() -> Iterator[Pipeline]:
    """A pipeline whose production logs every statement."""
    with running_server(LOGGED) as server:
        Database(server, "postgres").execute("create role loader login")
        with fresh_database(server, "production") as production:
            production.execute("create table people (id int primary key, email text)")
            production.execute("insert into people values (1, 'a@x')")
            production.execute("create table log (v text); insert into log values ('x')")
            production.execute("create table days (d int primary key) partition by range (d)")
            production.execute("create table days_1 partition of days default")
            root = open_directory()
            rules = {"id": "keep", "email": {"mask": "token", "domain": "e"}}
            tables: dict[str, Columns] = {
                "public.people": rules,
                "public.log": {"v": "keep"},
                "public.days": {"d": "keep"},
            }
            made = Pipeline(root, production, production, tables, append_only=("public.log",))
            made.prepare()
            yield made
            shutil.rmtree(root, ignore_errors=True)


def _ours(pipeline: Pipeline) -> list[tuple[str, str]]:
    """(kind, text) of everything that our role sent; kind is statement or replication command."""
    text = (pipeline.production.server.data_dir / "server.log").read_text()
    entries = re.split(r"^(?=@)", text, flags=re.MULTILINE)
    sent = []
    for entry in entries:
        match = re.match(
            r"@analytics_replica@.*?@ LOG:  (statement|received replication command): (.*)",
            entry,
            re.DOTALL,
        )
        if match:
            sent.append((match[1], match[2].strip()))
    return sent


def test_our_role_sends_replication_commands_and_one_catalog_read_per_capture(
    logged: Pipeline,
) -> None:
    captures = 3
    for number in range(captures):
        logged.production.execute("insert into people values (%s, 'b@x')", (number + 10,))
        logged.production.execute(
            "insert into log values ('y'); insert into days values (%s)", (number,)
        )
        logged.capture()
    sent = _ours(logged)
    commands = {text.split()[0].rstrip(";") for kind, text in sent if kind != "statement"}
    statements = [text for kind, text in sent if kind == "statement"]
    statements = [text for text in statements if text.split()[0] not in REPLICATION_COMMANDS]
    assert {"IDENTIFY_SYSTEM", "START_REPLICATION", "BASE_BACKUP"} <= commands
    assert len(statements) == captures
    for statement in statements:
        assert "pg_replication_slots" in statement
        said = re.sub(r"--.*", "", statement)
        assert set(re.findall(r"\b(?:from|join) (\w+)", said)) == CATALOGS | OWN_NAMES
        assert re.search(r"with recursive part \(oid, attached\) as", said)
        assert re.sub(r"\s*--.*", "", statement).strip().startswith("select json_build_object(")


def test_a_table_that_production_has_locked_does_not_stop_capture(logged: Pipeline) -> None:
    logged.capture()
    with logged.production.session() as cursor:
        cursor.execute("lock table people, log, days in access exclusive mode")
        report = logged.capture()
    assert not report.incomplete


def test_our_role_has_no_privilege_on_any_table(logged: Pipeline) -> None:
    logged.capture()
    granted = logged.production.scalar(
        """
        select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and has_any_column_privilege('analytics_replica', c.oid, 'select, insert, update')
        """
    )
    assert granted == 0
    with (
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
        logged.production.session("analytics_replica") as cursor,
    ):
        cursor.execute("select email from people")


def test_nothing_of_ours_is_left_on_production_but_role_publication_and_slot(
    logged: Pipeline,
) -> None:
    def objects() -> list[tuple[object, ...]]:
        return logged.production.rows(
            "select relname::text from pg_class where relnamespace = 'public'::regnamespace "
            "union all select slot_name::text from pg_replication_slots "
            "union all select pubname::text from pg_publication "
            "union all select datname::text from pg_database order by 1"
        )

    before = objects()
    logged.capture()
    logged.capture()
    assert objects() == before
