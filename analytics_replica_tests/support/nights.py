"""A whole night for tests: production, landing, warehouse, a small dbt project, Dagster.

Here: two tables that are not the shop's, their gold, and a real instance on PostgreSQL. Not here:
servers (servers.py), capture's settings (pipeline.py), frozen time (dagster_time.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from analytics_replica.definitions import build_definitions
from analytics_replica.domain.clock import Clock, SystemClock
from analytics_replica.orchestration.nightly import NightlyReport, run_nightly
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica.settings.load import Settings
from analytics_replica.settings.secrets import Secrets
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database, fresh_database

PRODUCTION = """
create schema club;
create table club.members (id bigint primary key, email text, town text);
create table club.visits (
    id bigint primary key, member_id bigint not null, fee numeric(8,2), visited_on date
);
insert into club.members values (1, 'Ann@Example.com', 'Oslo'), (2, 'bob@example.com', 'Turku');
insert into club.visits values (10, 1, 5.00, '2026-01-01'), (11, 1, 7.50, '2026-01-02'),
    (12, 2, 5.00, '2026-01-02');
"""

TABLES: dict[str, Mapping[str, Any]] = {
    "club.members": {"id": "keep", "email": {"mask": "email", "domain": "email"}, "town": "keep"},
    "club.visits": {"id": "keep", "member_id": "keep", "fee": "keep", "visited_on": "keep"},
}

MEMBER_DAYS = """
select
    members.id as member_id,
    members.email as email_token,
    cast(count(visits.id) as bigint) as visits,
    cast(coalesce(sum(visits.fee), 0) as numeric(12,2)) as fees
from {{ ref('base_club__members') }} as members
left join {{ ref('base_club__visits') }} as visits on visits.member_id = members.id
group by members.id, members.email
"""

PROJECT = {
    "name": "club_gold",
    "version": "0.1.0",
    "config-version": 2,
    "profile": "analytics_replica",
    "flags": {"send_anonymous_usage_stats": False},
    "models": {
        "club_gold": {
            "base": {"+materialized": "view"},
            "gold": {"+materialized": "table", "+contract": {"enforced": True}},
        }
    },
}

GOLD = {
    "models": [
        {
            "name": "member_fees",
            "description": "One row per member, also those who never came.",
            "config": {"meta": {"owner": "club-office", "deadline": "04:00"}},
            "columns": [
                {
                    "name": "member_id",
                    "data_type": "bigint",
                    "description": "The member.",
                    "data_tests": ["unique", "not_null"],
                },
                {"name": "email_token", "data_type": "text", "description": "Who, masked."},
                {"name": "visits", "data_type": "bigint", "description": "How often."},
                {
                    "name": "fees",
                    "data_type": "numeric(12,2)",
                    "description": "What was paid.",
                    "data_tests": [
                        {
                            "accepted_values": {
                                "name": "fees_are_known",
                                "arguments": {"values": [12.50, 5.00], "quote": False},
                                "config": {"severity": "error"},
                            }
                        }
                    ],
                },
            ],
        }
    ]
}

SOURCES = {
    "sources": [
        {
            "name": "staging",
            "schema": "{{ env_var('REPLICA_STAGING_SCHEMA', 'staging') }}",
            "tables": [{"name": "members"}, {"name": "visits"}],
        }
    ]
}

DAGSTER_YAML = """
storage:
  postgres:
    postgres_url: {env: TEST_DAGSTER_PG_URL}
telemetry: {enabled: false}
concurrency:
  pools: {default_limit: 1, granularity: op}
"""

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class House:
    """Everything that a night needs, under `root`."""

    root: Path
    pipeline: Pipeline
    dagster: Database
    clock: Clock = field(default_factory=SystemClock)

    @property
    def settings(self) -> Settings:
        """The settings as a person would load them, with Dagster's home in the environment."""
        return self.pipeline.settings

    @property
    def production(self) -> Database:
        """Production."""
        return self.pipeline.production

    @property
    def warehouse(self) -> Database:
        """The analytics database."""
        return self.pipeline.warehouse

    def definitions(self) -> dg.Definitions:
        """The code location."""
        return build_definitions(self.settings, self.clock)

    def without_warehouse(self) -> dg.Definitions:
        """The code location while the warehouse does not answer."""
        settings = self.settings
        environ = {
            **settings.secrets.environ,
            "WAREHOUSE_DSN": "postgresql://loader@127.0.0.1:1/nothing",
        }
        return build_definitions(replace(settings, secrets=Secrets(environ)), self.clock)

    def night(self, instance: dg.DagsterInstance) -> NightlyReport:
        """One whole night, here and now."""
        return run_nightly(self.definitions(), instance)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """A real instance on PostgreSQL."""
        home = self.root / "dagster_home"
        home.mkdir(exist_ok=True)
        url = self.dagster.dsn().replace("postgresql://", "postgresql+psycopg2://")
        text = DAGSTER_YAML.replace("{env: TEST_DAGSTER_PG_URL}", f'"{url}"')
        (home / "dagster.yaml").write_text(text)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield instance

    def gold(self, sql: str) -> list[tuple[object, ...]]:
        """What an analyst reads."""
        with self.warehouse.session("analyst") as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


@contextmanager
def house(server: LocalServer, **changes: object) -> Iterator[House]:
    """Production prepared, warehouse empty, nothing captured yet; gone when the block ends."""
    root = open_directory()
    write_project(root / "dbt_project")
    target = root / "dbt_project" / "target"
    _restore(target)
    with (
        fresh_database(server, "production") as production,
        fresh_database(server, "warehouse", owner="loader") as warehouse,
        fresh_database(server, "dagster") as dagster,
    ):
        production.execute(PRODUCTION)
        alerts = {"alerts.file": "alerts.jsonl", "deadlines.zone": "Europe/Berlin"}
        pipeline = Pipeline(
            root, production, warehouse, dict(TABLES), changes={**alerts, **changes}
        )
        pipeline.prepare()
        yield House(root, pipeline, dagster)
        _keep(target)
    shutil.rmtree(root, ignore_errors=True)


_PARSED: dict[str, bytes] = {}
"""What dbt made of the project, so that only the first house of a session waits for it (4 s)."""


def _restore(target: Path) -> None:
    target.mkdir()
    for name, content in _PARSED.items():
        (target / name).write_bytes(content)


def _keep(target: Path) -> None:
    for name in ("manifest.json", "manifest.sha256"):
        if (target / name).is_file():
            _PARSED[name] = (target / name).read_bytes()


def write_project(folder: Path) -> None:
    """A dbt project for the club's two tables."""
    base, gold = folder / "models/base", folder / "models/gold"
    base.mkdir(parents=True)
    gold.mkdir(parents=True)
    (folder / "macros").mkdir()
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(PROJECT))
    shutil.copy(REPOSITORY / "dbt_project/profiles.yml", folder)
    shutil.copy(REPOSITORY / "dbt_project/macros/generate_schema_name.sql", folder / "macros")
    for table in ("members", "visits"):
        body = f"source('staging', '{table}')"
        (base / f"base_club__{table}.sql").write_text("select * from {{ " + body + " }}")
    (base / "_sources.yml").write_text(yaml.safe_dump(SOURCES))
    (gold / "member_fees.sql").write_text(MEMBER_DAYS)
    (gold / "_models.yml").write_text(yaml.safe_dump(GOLD))
