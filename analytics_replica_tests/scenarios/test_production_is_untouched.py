"""What our role does on production, read from production's own log.

Oracle: PostgreSQL with log_statement = all and log_replication_commands = on.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import psycopg2
import pytest

from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

LOGGED = {
    "log_statement": "all",
    "log_replication_commands": "on",
    "log_line_prefix": "@%u@%b@ ",
}
REPLICATION_COMMANDS = {"IDENTIFY_SYSTEM", "START_REPLICATION", "BASE_BACKUP", "SHOW"}


@pytest.fixture
def logged() -> Iterator[Pipeline]:
    """A pipeline whose production logs every statement."""
    with running_server(LOGGED) as server:
        Database(server, "postgres").execute("create role loader login")
        with fresh_database(server, "production") as production:
            production.execute("create table people (id int primary key, email text)")
            production.execute("insert into people values (1, 'a@x')")
            root = open_directory()
            rules = {"id": "keep", "email": {"mask": "token", "domain": "e"}}
            made = Pipeline(root, production, production, {"public.people": rules})
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
        logged.capture()
    sent = _ours(logged)
    commands = {text.split()[0].rstrip(";") for kind, text in sent if kind != "statement"}
    statements = [text for kind, text in sent if kind == "statement"]
    statements = [text for text in statements if text.split()[0] not in REPLICATION_COMMANDS]
    assert {"IDENTIFY_SYSTEM", "START_REPLICATION", "BASE_BACKUP"} <= commands
    assert len(statements) == captures
    for statement in statements:
        assert "pg_replication_slots" in statement
        assert set(re.findall(r"\bfrom (\w+)", statement)) <= {
            "pg_replication_slots",
            "pg_publication",
            "pg_publication_tables",
            "pg_attribute",
            "pg_index",
            "pg_settings",
        }
        assert re.sub(r"\s*--.*", "", statement).strip().startswith("select json_build_object(")


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
