"""Where the canary lives: its places, its commands, what each printed, and the search of it all.

Here: running a command or a process that ends badly, keeping its output, searching. Not here: in
which order (run.py).
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from analytics_replica.demo.leaks import SearchReport, search
from analytics_replica_tests.support.canary import ui
from analytics_replica_tests.support.canary.deeds import Deeds
from analytics_replica_tests.support.canary.plant import Canaries
from analytics_replica_tests.support.canary.world import PATTERNS, TABLES
from analytics_replica_tests.support.commands import Ended, call_on, program, start
from analytics_replica_tests.support.killed import captures, kill_this_process, wait_until_free
from analytics_replica_tests.support.nights import DAGSTER_YAML
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database


@dataclass(frozen=True)
class Found:
    """What a search found, and at which places that had been planted."""

    report: SearchReport
    planted_at: Counter[str]

    def __str__(self) -> str:
        """Where, of which kind, from where; never a value."""
        hits = "; ".join(f"{hit.where}: {hit.kind}, {hit.count} times" for hit in self.report.hits)
        return f"{hits} (planted as: {dict(self.planted_at)}); {self.report.unsearched}"


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
    found: dict[str, Found] = field(default_factory=dict)
    """What was found, by when it was searched."""

    def __post_init__(self) -> None:
        self.outside = self.top / "outside"
        self.temporary = self.outside / "tmp"
        for name in ("tmp", "output", "home", "dagster_home", "dbt_project"):
            (self.outside / name).mkdir(parents=True)
        for folder in (self.outside, self.temporary):
            folder.chmod(0o711)
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

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a command: what is written anywhere is written below `outside`."""
        url = self.dagster.dsn().replace("postgresql://", "postgresql+psycopg2://")
        return {
            **self.pipeline.settings.secrets.environ,
            "DAGSTER_HOME": str(self.outside / "dagster_home"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "TEST_DAGSTER_PG_URL": url,
            "TMPDIR": str(self.temporary),
            "HOME": str(self.outside / "home"),
        }

    def search(self, when: str) -> Found:
        """Everything outside production, as files and as rows, the warehouse's server as both."""
        self.warehouse.execute("checkpoint")
        places = [self.outside, self.warehouse.server.data_dir]
        return self._found(when, places, [self.warehouse.dsn()])

    def search_production(self) -> Found:
        """The same search where the values are: what it must be able to find."""
        self.production.execute("checkpoint")
        server = self.production.server
        return self._found("production", [server.data_dir], [self.production.dsn()])

    def call(self, purpose: str, *arguments: str) -> Ended:
        """A command in this process; what it printed is kept outside production, as a log is."""
        return self._kept(purpose, call_on(self.pipeline, *arguments, **self.environ))

    def run(self, purpose: str, *arguments: str, code: str | None = None) -> Ended:
        """A command as a program of its own, or this code instead of the program."""
        config = ("--config", str(self.pipeline.settings.file))
        begun = [sys.executable, "-c", code] if code else program()
        process = start([*begun, *config, *arguments], self.environ)
        out, err = process.communicate(timeout=300)
        return self._kept(purpose, Ended(process.returncode, out, err))

    def look(self) -> Ended:
        """Dagster's UI, asked for everything that a person can open in it."""
        return self._kept("ui", ui.opened(str(self.pipeline.settings.file), self.environ))

    def killed_at(self, point: str) -> None:
        """A capture that dies there; what it leaves is searched before anybody tidies up."""
        purpose = f"killed at {point}"

        def reached(name: str) -> None:
            if name == point:
                kill_this_process()

        self.codes[purpose] = captures(self.pipeline, reached, self._redirected(purpose))
        self._found(purpose, [self.outside], [])
        wait_until_free(self.pipeline)

    def refused_by_the_disk(self, purpose: str, bytes_: int) -> None:
        """A capture that may write no file longer than this."""
        redirect = self._redirected(purpose)

        def limited() -> None:
            redirect()
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))

        self.codes[purpose] = captures(self.pipeline, lambda _: None, limited)
        self._found(purpose, [self.outside], [])
        wait_until_free(self.pipeline)

    def _found(self, when: str, places: list[Path], dsns: list[str]) -> Found:
        self.plant.escaped = Counter()
        self.found[when] = Found(search(places, dsns, self.plant), self.plant.escaped)
        return self.found[when]

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
