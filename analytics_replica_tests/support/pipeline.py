"""A whole pipeline for tests: settings, a prepared production, landing and warehouse.

Here: writing replica.yaml for a test's tables and preparing production as the DBA would. Not here:
servers and databases (servers.py).
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import yaml

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.capture import capture
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.landing.report import CaptureReport
from analytics_replica.settings.load import Settings, load_settings
from analytics_replica.source.dba import Preparation
from analytics_replica.source.publications import Wanted
from analytics_replica_tests.support.servers import Database

KEY = "c3a1f08be25d47961a7be8304fd2956c0b8e71d36afc249517e0ba5c83d46f12"
ROLE = "analytics_replica"

Columns = Mapping[str, Any]


@dataclass
class Pipeline:
    """Production → landing → warehouse for the tables of one test."""

    root: Path
    production: Database
    warehouse: Database
    tables: dict[str, Columns]
    slot: str = field(default_factory=lambda: f"slot_{uuid.uuid4().hex[:10]}")
    changes: dict[str, Any] = field(default_factory=dict)
    """Keys of replica.yaml to change, by dotted path."""
    append_only: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What replica.yaml says of a table besides its columns, by table name."""

    @property
    def settings(self) -> Settings:
        """The settings as a person would load them."""
        file = self.root / "replica.yaml"
        file.write_text(
            yaml.safe_dump(self._yaml(), allow_unicode=True, sort_keys=False), encoding="utf-8"
        )
        return load_settings(
            file,
            {
                "SOURCE_DSN": self.production.dsn(ROLE),
                "WAREHOUSE_DSN": self.warehouse.dsn("loader"),
                "MASKING_KEY": KEY,
            },
        )

    @property
    def store(self) -> Store:
        """Landing's files."""
        return Store.of(self.settings)

    def prepare(self) -> None:
        """Runs the DBA's script on production."""
        settings = self.settings
        opened = psycopg2.connect(self.production.dsn())
        opened.autocommit = True
        prepared = Preparation(
            ROLE, self.production.name, settings.replica.source, Wanted.of(settings)
        )
        with opened.cursor() as cursor:
            for statement in prepared.statements():
                cursor.execute(statement.text)
        opened.close()

    def capture(self, **options: Any) -> CaptureReport:
        """One capture, as the command would do it."""
        return capture(self.settings, SystemClock(), **options)

    def landed(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """The landed events of a table, read by DuckDB through the manifests, in order."""
        paths = [
            self.store.full(file.path)
            for manifest in manifests(self.store)
            for file in manifest.files
            if str(file.table) == table
        ]
        if not paths:
            return []
        with duckdb.connect() as connection:
            return connection.execute(
                f"select {columns} from read_parquet($1, union_by_name => true) "
                "order by _replica_lsn, _replica_ordinal",
                [paths],
            ).fetchall()

    def _yaml(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "source": {
                "dsn": {"env": "SOURCE_DSN"},
                "slot": self.slot,
                "copy_directory": str(self.root / "copy"),
                "copy_checkpoint": "fast",
            },
            "masking": {"keys": {"k1": {"env": "MASKING_KEY"}}, "active_key": "k1"},
            "tables": {
                table: {
                    "columns": dict(c),
                    "append_only": table in self.append_only,
                    **self.options.get(table, {}),
                }
                for table, c in self.tables.items()
            },
            "landing": {"url": "landing"},
            "warehouse": {"dsn": {"env": "WAREHOUSE_DSN"}},
            "gold": {"project_dir": "dbt_project"},
        }
        for path, value in self.changes.items():
            *parents, last = path.split(".")
            at = body
            for parent in parents:
                at = at.setdefault(parent, {})
            at[last] = value
        return body


def open_directory() -> Path:
    """A directory that the server's account may reach (pytest's own are closed to it)."""
    root = Path(tempfile.mkdtemp(prefix="ar-test-"))
    root.chmod(0o711)
    return root


def streams_large_transactions(production: Database) -> None:
    """Makes production send transactions above 64 kB before they are committed."""
    production.execute(
        f"alter database \"{production.name}\" set logical_decoding_work_mem = '64kB'"
    )
