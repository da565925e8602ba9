"""All figures, one after the other: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

FIGURES: Final = ("capture", "masking", "staging", "chain")


def main() -> int:
    """Runs every figure in a process of its own; the exit code of the first that failed."""
    for figure in FIGURES:
        print(f"== benchmarks.{figure}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{figure}"]
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
