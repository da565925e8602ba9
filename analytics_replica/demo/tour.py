"""The demo's main job: a whole night on real servers, told step by step.

Here: the order of the steps and the figures at the end. Not here: the servers (server.py), the
shop (shop/), the traffic (traffic.py), printing (the CLI, which is told what happens).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from analytics_replica.demo.leaks import PlantedValues, SearchReport, planted_values, search
from analytics_replica.demo.server import DemoServers
from analytics_replica.demo.shop.fill import fill
from analytics_replica.demo.shop.schema import create_schema, event_months, has_schema
from analytics_replica.demo.traffic import Traffic
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.progress import Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.capture import capture
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest, manifests
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import Connection, connect, connection
from analytics_replica.settings.load import Settings, load_settings
from analytics_replica.source.dba import Preparation
from analytics_replica.source.publications import Wanted

TRANSACTIONS: Final = 2_000
PLANTED: Final = 4_000
"""How many personal values are searched for: each costs a look-up per suspicious place only."""


class Listener(Protocol):
    """Hears how the tour goes: what begins, how far it is, what came of it."""

    progress: Progress

    def begins(self, title: str, explains: str) -> None:
        """A step begins; `explains` says in one line what it is for."""
        ...

    def ends(self, outcome: str, seconds: float) -> None:
        """The step that began last is done, with this outcome."""
        ...


@dataclass(frozen=True)
class Rows:
    """How many rows the layers hold."""

    production: int
    landed_events: int
    staging: int
    gold: int


@dataclass(frozen=True)
class Summary:
    """What a newcomer reads at the end."""

    rows: Rows
    searched: SearchReport
    ready: str
    seconds: float


@dataclass
class Tour:
    """One run of the demo in `root`, for the settings in `replica_yaml`."""

    root: Path
    replica_yaml: Path
    environ: Mapping[str, str]
    clock: Clock
    listener: Listener
    seed: int = 7
    scale: float = 1.0
    postgres_bin: Path | None = None

    def run(self) -> Summary:
        """Runs every step; continues where it was if it ran before. Errors end it at once."""
        began = time.monotonic()
        servers = DemoServers(self.root, self.postgres_bin)
        self._servers(servers)
        settings = load_settings(self.replica_yaml, {**self.environ, **servers.environment()})
        with ThreadPoolExecutor(max_workers=1) as beside:
            # Dagster and dbt take 10 s to load, while the steps before the night wait for servers.
            graph = beside.submit(self._graph, settings)
            self._shop(servers)
            self._dba(servers, settings)
            self._first_copy(settings)
            # Planted before and after: what the traffic edits or erases is personal all the same.
            before = planted_values(servers.production_admin_dsn, PLANTED)
            self._traffic(servers, settings)
            ready = self._night(settings, graph)
        after = planted_values(servers.production_admin_dsn, PLANTED)
        searched = self._search(servers, before | after)
        rows = count_rows(servers, settings)
        return Summary(rows, searched, ready, time.monotonic() - began)

    @contextlib.contextmanager
    def _step(self, title: str, explains: str) -> Iterator[list[str]]:
        self.listener.begins(title, explains)
        outcome: list[str] = []
        began = time.monotonic()
        yield outcome
        self.listener.ends(" ".join(outcome), time.monotonic() - began)

    def _servers(self, servers: DemoServers) -> None:
        with self._step(
            "Servers", "three real PostgreSQL servers: production, warehouse, Dagster's storage"
        ) as says:
            started = servers.up()
            servers.write_environment_file()
            says.append(f"started {', '.join(started)}" if started else "were running already")

    def _shop(self, servers: DemoServers) -> None:
        with (
            self._step("Production", "an online shop with the mess of a real company") as says,
            closing(connect(servers.production_admin_dsn)) as opened,
        ):
            if has_schema(opened):
                says.append("is there already")
                return
            now = self.clock.now()
            create_schema(opened, *event_months(now))
            fill(opened, self.seed, self.scale, now, self._filled)
            opened.commit()
            says.append(f"filled at scale {self.scale:g}, seed {self.seed}")

    def _filled(self, table: str, rows: int) -> None:
        self.listener.progress(table, rows, None)

    def _dba(self, servers: DemoServers, settings: Settings) -> None:
        with self._step(
            "DBA script", "role, publication and slot, as `analytics-replica source sql` prints"
        ) as says:
            statements = Preparation(
                "analytics_replica", "shop", settings.replica.source, Wanted.of(settings)
            ).statements()
            with closing(connect(servers.production_admin_dsn)) as opened:
                opened.autocommit = True
                with opened.cursor() as cursor:
                    for statement in statements:
                        cursor.execute(statement.text)
            says.append("the role may read the log, and not a single table")

    def _first_copy(self, settings: Settings) -> None:
        with self._step(
            "First copy", "from a base backup, recovered beside production; masked, then landed"
        ) as says:
            if last_manifest(Store.of(settings)) is not None:
                says.append("was taken before; the stream goes on from there")
                return
            report = capture(settings, self.clock, progress=self.listener.progress)
            says.append(f"{sum(report.rows.values()):,} rows at {report.position}")

    def _traffic(self, servers: DemoServers, settings: Settings) -> None:
        with self._step(
            "Traffic", "orders, payments, refunds, erasures happen in production meanwhile"
        ) as says:
            # Each run brings other traffic: the seed counts the batches that exist.
            last = last_manifest(Store.of(settings))
            seed = self.seed + (last[0].sequence if last else 0)
            report = Traffic(servers.production_admin_dsn, seed, clock=self.clock).run(
                TRANSACTIONS, lambda done: self.listener.progress("traffic", done, TRANSACTIONS)
            )
            says.append(f"{report.committed:,} transactions committed")

    def _graph(self, settings: Settings) -> Any:
        from analytics_replica.definitions import build_definitions  # noqa: PLC0415 - see run

        return build_definitions(settings, self.clock, self.listener.progress)

    def _night(self, settings: Settings, graph: Future[Any]) -> str:
        from analytics_replica.orchestration.instance import open_instance  # noqa: PLC0415 - too
        from analytics_replica.orchestration.nightly import run_nightly  # noqa: PLC0415 - as above

        with self._step(
            "The night", "one Dagster job: capture, staging, gold, checks, publish"
        ) as says:
            with open_instance(settings) as instance:
                report = run_nightly(graph.result(), instance)
            if report.error is not None:
                raise report.error
            says.append(", ".join(f"{s.stage} {s.seconds or 0:.1f} s" for s in report.steps))
            told = ", ".join(f"{name} {value}" for name, value in report.published.items())
            return f"READY: {told}"

    def _search(self, servers: DemoServers, planted: PlantedValues) -> SearchReport:
        with self._step(
            "The search", "planted personal values in every byte outside production"
        ) as says:
            found = search(
                servers.folder.outside_production(),
                (servers.warehouse_admin_dsn, servers.dagster_admin_dsn),
                planted,
            )
            says.append(f"{found.bytes / 2**20:,.0f} MB and {found.rows:,} rows searched")
            return found


def count_rows(servers: DemoServers, settings: Settings) -> Rows:
    """How many rows each layer holds now; production is asked as its DBA, for the demo only."""
    landed = sum(manifest.rows for manifest in manifests(Store.of(settings)))
    return Rows(
        production=_count(servers.production_admin_dsn, {t.schema for t in settings.tables}),
        landed_events=landed,
        staging=_count(servers.warehouse_admin_dsn, {settings.replica.warehouse.staging_schema}),
        gold=_count_views(servers.warehouse_admin_dsn, "analytics"),
    )


def _count(dsn: str, schemas: set[str]) -> int:
    with connection(dsn) as opened:
        tables = [name for name in read_tables(opened) if name.schema in schemas]
        return sum(_rows(opened, name) for name in tables)


def _count_views(dsn: str, schema: str) -> int:
    with connection(dsn) as opened:
        with opened.cursor() as cursor:
            cursor.execute("select viewname from pg_views where schemaname = %s", (schema,))
            views = [TableName(schema, row[0]) for row in cursor.fetchall()]
        return sum(_rows(opened, view) for view in views)


def _rows(opened: Connection, name: TableName) -> int:
    with opened.cursor() as cursor:
        cursor.execute(sql.compose("select count(*) from {table}", table=sql.table(name)).text)
        (count,) = cursor.fetchone() or (0,)
        return int(count)
