"""Production's writers with and without a follower: pgbench on one core, capture on the other.

Figures: `pgbench_ratio` and `pgbench_p99_ratio`, paced at half of what production can do, because
production is not run at its limit. At the limit the cost is printed beside that of pg_recvlogical,
which is the walsender's own: decoding happens on production's core whoever reads.

Production (with its walsender) and pgbench share one core; capture has the other. All four tables
are published: pgbench_history has no key, so it is given one. The log level is `logical` and a slot
exists in every round. Landing is on the same disk as production, which is against us.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from analytics_replica_tests.support.commands import program, start
from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database
from benchmarks.capture.figures import Figures
from benchmarks.capture.processes import on_core
from benchmarks.capture.readers import REFERENCE, make_reference_slot, recvlogical
from benchmarks.capture.server import running_production

PRODUCTION_CORE: Final = 0
CAPTURE_CORE: Final = 1

SCALE: Final = 10
"""160 MB: fits into shared_buffers."""

CLIENTS: Final = 8
EVERY_S: Final = 2
"""The follower lands so often, so that every round holds several landings."""

Arm = Callable[[], contextlib.AbstractContextManager[None]]

_LOGGED: Final = {"log_line_prefix": "@%u@ ", "log_statement": "none"}

KEPT: Final[dict[str, Mapping[str, Any]]] = {
    "public.pgbench_accounts": {
        "aid": "keep",
        "bid": "keep",
        "abalance": "keep",
        "filler": {"mask": "token", "domain": "filler"},
    },
    "public.pgbench_branches": {"bid": "keep", "bbalance": "keep", "filler": "keep"},
    "public.pgbench_tellers": {"tid": "keep", "bid": "keep", "tbalance": "keep", "filler": "keep"},
    "public.pgbench_history": {
        "tid": "keep",
        "bid": "keep",
        "aid": "keep",
        "delta": "keep",
        "mtime": "keep",
        "filler": "keep",
        "id": "keep",
    },
}


@dataclass(frozen=True)
class Round:
    """One pgbench run: transactions per second, and the 99th percentile of their latency."""

    tps: float
    p99_ms: float


@dataclass(frozen=True)
class _Bench:
    pipeline: Pipeline
    root: Path
    seconds: int

    @property
    def production(self) -> Database:
        return self.pipeline.production

    def pgbench(self, *options: str) -> Round:
        """One run of the built-in script, on production's core."""
        for old in self.root.glob("pgbench_log*"):
            old.unlink()
        done = self._pgbench(
            *("-n", "-T", str(self.seconds), "-c", str(CLIENTS), "-j", "1", "-l"),
            *("--log-prefix", str(self.root / "pgbench_log"), *options),
        )
        tps = re.search(r"tps = ([0-9.]+)", done)
        if tps is None:
            raise AssertionError("pgbench did not say how fast it was")
        # Of a paced run the time counts from when the transaction was due, not from when it began.
        micros = [
            int(line.split()[2])
            for log in self.root.glob("pgbench_log*")
            for line in log.read_text(encoding="utf-8").splitlines()
        ]
        return Round(float(tps[1]), statistics.quantiles(micros, n=100)[98] / 1000)

    def fill(self) -> None:
        """Makes pgbench's tables, with a key for the one that has none."""
        self._pgbench("-i", "-q", "-s", str(SCALE))
        self.production.execute("alter table pgbench_history add column id bigserial primary key")

    def _pgbench(self, *options: str) -> str:
        pgbench = str(self.production.server.bin_dir / "pgbench")
        command = [pgbench, *options, self.production.dsn()]
        with on_core(PRODUCTION_CORE):
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    @contextlib.contextmanager
    def nobody(self) -> Iterator[None]:
        """Nobody reads the log."""
        yield

    @contextlib.contextmanager
    def follower(self) -> Iterator[None]:
        """`capture --follow` as a service, which has caught up."""
        settings = self.pipeline.settings
        command = program(
            *("--config", str(settings.file), "capture", "--follow", "--json"),
            *("--every", str(EVERY_S)),
        )
        with self._following(command, settings.secrets.environ, self.pipeline.slot):
            yield

    @contextlib.contextmanager
    def reference(self) -> Iterator[None]:
        """pg_recvlogical, which has caught up."""
        target = self.root / "reference.out"
        with self._following(recvlogical(self.production, target), {}, REFERENCE):
            yield
        target.unlink()

    @contextlib.contextmanager
    def _following(self, command: list[str], environ: Any, slot: str) -> Iterator[None]:
        with on_core(CAPTURE_CORE):
            process = start(command, environ)
        try:
            self._until_caught_up(slot)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate(timeout=60)
        if process.returncode != 0:
            raise AssertionError(f"{command[0]} ended with {process.returncode}: {complaints}")

    def _until_caught_up(self, slot: str) -> None:
        present = self.production.scalar("select pg_current_wal_flush_lsn()::text")
        behind = (
            f"select confirmed_flush_lsn < '{present}' from pg_replication_slots "
            f"where slot_name = '{slot}'"
        )
        until = time.monotonic() + 120
        while self.production.scalar(behind):
            if time.monotonic() > until:
                raise AssertionError(f"slot {slot} did not catch up within two minutes")
            time.sleep(0.1)


def measure_writers(rounds: int, seconds: int, console: Console) -> Figures:
    """Finds the limit, then paces at half of it; every arm takes its turn in every round.

    There are twice as many paced rounds: a neighbour on the machine spoils a percentile first.
    """
    root = _own_disk()
    try:
        with (
            on_core(PRODUCTION_CORE),
            running_production(settings=_LOGGED) as production,
        ):
            pipeline = Pipeline(root, production, production, KEPT)
            return _measured(_Bench(pipeline, root, seconds), rounds, console)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _own_disk() -> Path:
    """A directory for landing that is not on production's disk: in memory, where that is one.

    Two writers that fsync on one disk wait for each other, which nobody would do to production.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
    if not memory.is_dir():
        return open_directory()
    root = Path(tempfile.mkdtemp(prefix="ar-bench-", dir=memory))
    root.chmod(0o711)
    return root


def _measured(bench: _Bench, rounds: int, console: Console) -> Figures:
    bench.fill()
    bench.pipeline.prepare()
    bench.pipeline.capture()
    make_reference_slot(bench.production)
    bench.production.execute("alter role analytics_replica set log_statement = 'all'")
    arms: dict[str, Arm] = {"nobody": bench.nobody, "capture --follow": bench.follower}
    limits = _rounds(bench, {**arms, "pg_recvlogical": bench.reference}, rounds, ())
    alone = statistics.median(one.tps for one in limits["nobody"])
    paced = _rounds(bench, arms, 2 * rounds + 1, ("-R", f"{alone / 2:.0f}"))
    _show(console, "at the limit", limits)
    _show(console, f"paced at {alone / 2:.0f} transactions/s", paced)
    console.print(_statements(bench.production))
    without, following = paced["nobody"], paced["capture --follow"]
    return {
        "pgbench_ratio": round(_tps(following) / _tps(without), 3),
        "pgbench_p99_ratio": round(_p99(following) / _p99(without), 2),
    }


def _rounds(
    bench: _Bench,
    arms: Mapping[str, Arm],
    rounds: int,
    options: tuple[str, ...],
) -> dict[str, list[Round]]:
    measured: dict[str, list[Round]] = {name: [] for name in arms}
    for number in range(rounds):
        names = list(arms)
        for name in names if number % 2 == 0 else reversed(names):
            with arms[name]():
                measured[name].append(bench.pgbench(*options))
    return measured


def _tps(rounds: list[Round]) -> float:
    return statistics.median(one.tps for one in rounds)


def _p99(rounds: list[Round]) -> float:
    return statistics.median(one.p99_ms for one in rounds)


def _show(console: Console, title: str, measured: dict[str, list[Round]]) -> None:
    shown = Table("who follows", "transactions/s", "of alone", "p99 ms", title=f"pgbench {title}")
    alone = _tps(measured["nobody"])
    for name, rounds in measured.items():
        shown.add_row(
            name,
            " ".join(f"{one.tps:.0f}" for one in rounds),
            f"{_tps(rounds) / alone:.3f}",
            " ".join(f"{one.p99_ms:.1f}" for one in rounds),
        )
    console.print(shown)


def _statements(production: Database) -> str:
    """What production's own log says of our role's statements."""
    log = (production.server.data_dir / "server.log").read_text(encoding="utf-8", errors="replace")
    entries = re.split(r"^(?=@)", log, flags=re.MULTILINE)
    sent = [e for e in entries if e.startswith("@analytics_replica@ LOG:  statement:")]
    on_tables = sum("pgbench" in entry for entry in sent)
    return f"our role sent {len(sent)} SQL statements, {on_tables} of them on user tables"
