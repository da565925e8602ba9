"""One capture in a process of its own: `python -m benchmarks.capture.captured replica.yaml`.

Here: what is timed (all of `capture()`) and what is not (starting Python, imports, of which numba
is one). Prints one line of JSON. Nothing is imported but what the capture needs, so its memory is
the capture's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.capture import capture
from analytics_replica.masking import bulk_hmac
from analytics_replica.settings.load import load_settings
from analytics_replica.source import walk


def main() -> None:
    """Captures once and says what it took."""
    settings = load_settings(Path(sys.argv[1]), os.environ)
    imported = [module.__name__ for module in (walk, bulk_hmac)]
    began, cpu_began = time.perf_counter(), time.process_time()
    report = capture(settings, SystemClock())
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": cpu,
                "peak_rss_mb": _peak_rss_mb(),
                "rows": sum(report.rows.values()),
                "imported_before": imported,
            }
        )
    )


def _peak_rss_mb() -> float:
    # Not ru_maxrss: that survives exec, and would begin with the peak of whoever started us.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
