"""Ours and the reference reading the same backlog: `capture` and `pg_recvlogical`.

Here: one read by each, with its wall time, memory and the walsender's CPU time. Not here: other
tools (peers.py), what is made of the figures (backlog.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analytics_replica_tests.support.commands import ROOT
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database
from benchmarks.capture.processes import WalsenderTime

REFERENCE: Final = "reference"
"""The slot that pg_recvlogical reads."""


@dataclass(frozen=True)
class Reading:
    """What one reader took for one backlog. CPU time and memory are 0 where nobody looked."""

    seconds: float
    walsender_cpu_s: float
    cpu_s: float = 0.0
    peak_rss_mb: float = 0.0


def read_with_capture(pipeline: Pipeline, changes: int) -> Reading:
    """One capture in a process of its own; AssertionError if it did not land every change."""
    settings = pipeline.settings
    command = [sys.executable, "-m", "benchmarks.capture.captured", str(settings.file)]
    environ = {**os.environ, **settings.secrets.environ, "PYTHONPATH": str(ROOT)}
    with WalsenderTime(pipeline.production, pipeline.slot) as walsender:
        done = subprocess.run(
            command, env=environ, check=True, stdout=subprocess.PIPE, cwd="/", text=True
        )
    said = json.loads(done.stdout)
    if said["rows"] != changes:
        raise AssertionError(f"{changes} changes were made, {said['rows']} landed")
    return Reading(said["seconds"], walsender.seconds, said["cpu_seconds"], said["peak_rss_mb"])


def read_with_recvlogical(production: Database, root: Path) -> Reading:
    """pg_recvlogical writing everything up to now to a file, which it syncs."""
    until = production.scalar("select pg_current_wal_flush_lsn()::text")
    target = root / "reference.out"
    target.unlink(missing_ok=True)
    command = [
        *recvlogical(production, target),
        *("--endpos", until),
    ]
    with WalsenderTime(production, REFERENCE) as walsender:
        began = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - began
    return Reading(seconds, walsender.seconds)


def recvlogical(production: Database, target: Path) -> list[str]:
    """The reference's command line; without --endpos it follows."""
    return [
        str(production.server.bin_dir / "pg_recvlogical"),
        *("-d", production.dsn(), "--slot", REFERENCE, "--start", "--no-loop"),
        *("-o", "proto_version=1", "-o", "publication_names=analytics_replica"),
        *("-f", str(target)),
    ]


def make_reference_slot(production: Database) -> None:
    """The slot of the reference, which sees what is committed from now on."""
    production.execute(f"select pg_create_logical_replication_slot('{REFERENCE}', 'pgoutput')")
