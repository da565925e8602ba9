"""The canary's way: planted values through every path of the product, failing ones too.

Here: the servers and places, the commands in their order, what each printed, and where to search
afterwards. Not here: what happens in production (deeds.py), what is asked (test_canary.py).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from analytics_replica.demo.leaks import SearchReport, search
from analytics_replica.landing import stream
from analytics_replica.masking import seal
from analytics_replica.postgres.local_server import LocalServer, unprivileged_account
from analytics_replica_tests.support.canary.deeds import Deeds
from analytics_replica_tests.support.canary.plant import Canaries
from analytics_replica_tests.support.canary.world import PATTERNS, SCHEMA, TABLES, write_project
from analytics_replica_tests.support.commands import Ended, call_on, program, start
from analytics_replica_tests.support.killed import captures, kill_this_process, wait_until_free
from analytics_replica_tests.support.nights import DAGSTER_YAML
from analytics_replica_tests.support.patience import eventually
from analytics_replica_tests.support.pipeline import (
    Pipeline,
    open_directory,
    streams_large_transactions,
)
from analytics_replica_tests.support.servers import Database, fresh_database, running_server

SMALL = 20_000
"""Bytes of an open transaction above which it waits on disk."""

QUOTES_VALUES = """
import sys
import pyarrow as pa
from analytics_replica.masking import seal
from analytics_replica.cli.main import main
apply = seal.TableSeal.apply

def fails(self, texts):
    quoted = [text.drop_null().to_pylist()[:20] for text in texts]
    raise {error}(f"could not convert {{quoted}}")

seal.TableSeal.apply = fails
sys.argv[0] = "analytics-replica"
main()
"""
"""The command with a library in it that fails, and quotes the values that it fails on."""

EVERYTHING = {
    "runs": "{ runsOrError { ... on Runs { results { runId status stats { ... on "
    "RunStatsSnapshot { stepsFailed } } } } } }",
    "logs": "query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { "
    "... on MessageEvent { message eventType } ... on ExecutionStepFailureEvent { error { message "
    "stack className cause { message stack } } failureMetadata { metadataEntries { label "
    "description ... on TextMetadataEntry { text } } } } ... on MaterializationEvent { "
    "metadataEntries { label ... on TextMetadataEntry { text } ... on JsonMetadataEntry { "
    "jsonString } } } } } } }",
    "assets": "{ assetNodes { assetKey { path } description assetMaterializations(limit: 3) { "
    "metadataEntries { label ... on TextMetadataEntry { text } } } } }",
}
"""What a person can open in Dagster's UI."""


@dataclass
class Canary:
    """The world of one run. Everything outside production is below `outside` or in `warehouse`."""

    top: Path
    production: Database
    warehouse: Database
    dagster: Database
    plant: Canaries
    ended: dict[str, Ended] = field(default_factory=dict)
    """What each command printed and how it ended, by what it was for."""
    codes: dict[str, int] = field(default_factory=dict)
    """How processes ended that print nothing to us."""
    interim: dict[str, SearchReport] = field(default_factory=dict)
    """Searches of what a killed process left, before anybody tidied up."""

    def __post_init__(self) -> None:
        self.outside = self.top / "outside"
        self.temporary = self.outside / "tmp"
        for folder in ("tmp", "output", "home", "dagster_home", "dbt_project"):
            (self.outside / folder).mkdir(parents=True)
        (self.outside / "dagster_home/dagster.yaml").write_text(DAGSTER_YAML)
        self.copies = self.top / "production-side" / "copy"
        self.deeds = Deeds(self.production, self.plant)
        self.pipeline = Pipeline(
            self.outside,
            self.production,
            self.warehouse,
            dict(TABLES),
            changes={
                "source.copy_directory": str(self.copies),
                "landing.batch_rows": 120,
                "alerts.file": "alerts.jsonl",
                "masking.patterns": PATTERNS,
            },
        )
        for folder in (self.outside, self.temporary):
            folder.chmod(0o711)

    @property
    def places(self) -> list[Path]:
        """Every directory outside production: ours, and the warehouse server's with its log."""
        return [self.outside, self.warehouse.server.data_dir]

    def search(self) -> SearchReport:
        """Everything outside production, as files and as rows."""
        self.warehouse.execute("checkpoint")
        return search(self.places, [self.warehouse.dsn()], self.plant)

    def call(self, purpose: str, *arguments: str, **instead: str) -> Ended:
        """A command in this process; what it printed is kept outside production, as a log is."""
        ended = call_on(self.pipeline, *arguments, **{**self._environ(), **instead})
        return self._kept(purpose, ended)

    def run(self, purpose: str, *arguments: str, code: str | None = None) -> Ended:
        """A command as a program of its own, or this code instead of it."""
        config = str(self.pipeline.settings.file)
        begun = [sys.executable, "-c", code] if code else program()
        environ = {**self.pipeline.settings.secrets.environ, **self._environ()}
        process = start([*begun, "--config", config, *arguments], environ)
        out, err = process.communicate(timeout=300)
        return self._kept(purpose, Ended(process.returncode, out, err))

    def killed_at(self, point: str, times: int = 1) -> None:
        """A capture that dies there; what it leaves is searched at once."""
        seen = 0

        def reached(name: str) -> None:
            nonlocal seen
            seen += name == point
            if name == point and seen == times:
                kill_this_process()

        purpose = f"killed at {point}"
        self.codes[purpose] = captures(self.pipeline, reached, self._redirected(purpose))
        self.interim[purpose] = search([self.outside], [], self.plant)
        wait_until_free(self.pipeline)

    def refused_by_the_disk(self, purpose: str, bytes_: int) -> None:
        """A capture that may write no file longer than this."""

        def limited() -> None:
            self._redirected(purpose)()
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))

        self.codes[purpose] = captures(self.pipeline, lambda _: None, limited)
        wait_until_free(self.pipeline)

    def looked_at(self) -> None:
        """Dagster's UI as a program, asked for everything that a person can open in it."""
        from analytics_replica_tests.scenarios.test_cli_ui import free_port, graph_at

        port = free_port()
        config = str(self.pipeline.settings.file)
        environ = {**self.pipeline.settings.secrets.environ, **self._environ()}
        process = start(program("--config", config, "ui", "--port", str(port)), environ)
        try:
            eventually(lambda: graph_at(port) is not None or process.poll() is not None, 120)
            answers = {"runs": _asked(port, "runs")}
            runs = answers["runs"]["data"]["runsOrError"]["results"]
            answers |= {run["runId"]: _asked(port, "logs", run=run["runId"]) for run in runs}
            answers["assets"] = _asked(port, "assets")
        finally:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        self._kept("ui", Ended(process.returncode, json.dumps(answers, ensure_ascii=False) + out, err))

    def _kept(self, purpose: str, ended: Ended) -> Ended:
        self.ended[purpose] = ended
        name = f"{len(self.ended):02d} {purpose}.txt"
        (self.outside / "output" / name).write_text(f"{ended.out}\n{ended.err}")
        return ended

    def _redirected(self, purpose: str) -> Callable[[], None]:
        """Lets a child's output, of any library, go to a file outside production."""
        file = self.outside / "output" / f"{purpose}.txt"

        def redirect() -> None:
            descriptor = os.open(file, os.O_CREAT | os.O_WRONLY, 0o644)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)

        return redirect

    def _environ(self) -> dict[str, str]:
        url = self.dagster.dsn().replace("postgresql://", "postgresql+psycopg2://")
        return {
            "DAGSTER_HOME": str(self.outside / "dagster_home"),
            "TEST_DAGSTER_PG_URL": url,
            "TMPDIR": str(self.temporary),
            "HOME": str(self.outside / "home"),
        }


@contextmanager
def canary() -> Iterator[Canary]:
    """A world that went all its ways; its servers run until the block ends."""
    top = open_directory()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, top, ignore_errors=True)
        stack.enter_context(patch.object(stream, "OPEN_BYTES", SMALL))
        stack.enter_context(patch.object(stream, "BUNCH", 500))
        source, target = (stack.enter_context(_server()) for _ in range(2))
        world = Canary(
            top,
            stack.enter_context(fresh_database(source, "production")),
            stack.enter_context(fresh_database(target, "warehouse", owner="loader")),
            stack.enter_context(fresh_database(target, "dagster")),
            Canaries(),
        )
        stack.enter_context(patch.object(tempfile, "tempdir", str(world.temporary)))
        go_every_way(world)
        yield world


def go_every_way(world: Canary) -> None:
    """First copy, stream, spill, failures, crashes, nights, re-copy, UI, in this order."""
    deeds = world.deeds
    world.production.execute(SCHEMA)
    streams_large_transactions(world.production)
    world.pipeline.prepare()
    deeds.fill()
    world.call("capture, first copy", "capture")
    deeds.change()
    deeds.undo()
    deeds.announce()
    _fail(world)
    world.call("capture, stream", "capture")
    deeds.forget_nickname()
    deeds.stream()
    for point in ("spill", "seal", "stream commit", "file written", "rename", "manifest"):
        world.killed_at(point)
    world.call("capture, streamed", "capture", "--json")
    deeds.nest()
    world.call("capture, nested", "capture")
    _nights(world)


def _fail(world: Canary) -> None:
    """Captures that fail while they hold values in memory, each in another way."""
    for error in ("RuntimeError", "pa.ArrowInvalid", "OSError", "MemoryError"):
        with patch.object(seal.TableSeal, "apply", _quoting(error)):
            world.call(f"capture, {error}", "capture")
    with patch.object(seal, "_seal", _quoting("ValueError")):
        world.call("capture, a value that does not fit", "capture")
    with patch("analytics_replica.postgres.types._convert", _quoting("pa.ArrowInvalid")):
        world.call("capture, a type that cannot be converted", "capture")
    world.refused_by_the_disk("capture, landing full", 4_000)
    unfinished = world.outside / "landing/unfinished"
    shutil.rmtree(unfinished)
    unfinished.touch()
    world.call("capture, landing closed", "capture")
    unfinished.unlink()


def _nights(world: Canary) -> None:
    project = world.outside / "dbt_project"
    write_project(project, broken=True)
    world.deeds.production.execute("update canary.people set tier = 'night' where id % 4 = 0")
    world.run("night, quoting", "run", code=QUOTES_VALUES.format(error="RuntimeError"))
    world.run("night, dbt fails", "run")
    world.warehouse.execute("alter table staging.people add check (tier <> 'gold') not valid")
    world.production.execute("update canary.people set tier = 'gold' where id % 5 = 0")
    write_project(project, broken=False)
    world.run("night, a constraint of staging", "run", "--json")
    world.call("resync", "resync", "canary.people", "canary.accounts")
    world.looked_at()


def _quoting(error: str) -> Callable[..., Any]:
    """A function that fails, and quotes what it was given."""
    kind: type[Exception] = pa.ArrowInvalid if error == "pa.ArrowInvalid" else eval(error)

    def fails(*arguments: Any) -> Any:
        raise kind(f"could not convert {[str(a)[:20_000] for a in arguments]}")

    return fails


@contextmanager
def _server() -> Iterator[LocalServer]:
    with running_server({"log_statement": "all", "log_min_messages": "info"}) as server:
        admin = Database(server, "postgres")
        admin.execute("create role analytics_replica login replication")
        for role in ("loader", "analyst", "analytics_engineer"):
            admin.execute(f"create role {role} login")
        yield server


def _asked(port: int, what: str, **variables: str) -> Any:
    body = json.dumps({"query": EVERYTHING[what], "variables": variables}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own webserver
        return json.load(answer)
