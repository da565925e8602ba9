"""One capture and one apply in a process of its own: `python -m benchmarks.staging.applied FILE`.

Here: what is timed (all of `capture()` and of `apply_pending()`) and what is not (starting Python,
imports). Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.capture import capture
from analytics_replica.masking import bulk_hmac
from analytics_replica.settings.load import load_settings
from analytics_replica.source import walk
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.commands import ROOT
from analytics_replica_tests.support.pipeline import Pipeline


@dataclass(frozen=True)
class Night:
    """Seconds of one capture and of the apply after it, and the apply's most memory."""

    capture: float
    apply: float
    peak_rss_mb: float

    @property
    def seconds(self) -> float:
        """From the log to staging."""
        return self.capture + self.apply


def run_night(pipeline: Pipeline) -> Night:
    """Captures what is there and applies it, in a new process."""
    settings = pipeline.settings
    command = [sys.executable, "-m", "benchmarks.staging.applied", str(settings.file)]
    environ = {**os.environ, **settings.secrets.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    return Night(**json.loads(done.stdout))


def peak_rss_mb() -> float:
    """The most memory that this process has had."""
    # Not ru_maxrss: that survives exec, and would begin with the peak of whoever started us.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _main() -> None:
    settings = load_settings(Path(sys.argv[1]), os.environ)
    _ = walk, bulk_hmac  # they import numba, which is not to be timed
    began = time.perf_counter()
    capture(settings, SystemClock())
    captured = time.perf_counter()
    apply_pending(settings, SystemClock())
    applied = time.perf_counter()
    figures = {"capture": captured - began, "apply": applied - captured}
    print(json.dumps({**figures, "peak_rss_mb": peak_rss_mb()}))


if __name__ == "__main__":
    _main()
