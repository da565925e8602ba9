"""All figures, one after the other: `python -m benchmarks`."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

FIGURES: Final = ("capture", "chain")


def main() -> int:
    """Runs every figure in a process of its own; the exit code of the first that failed."""
    for figure in FIGURES:
        print(f"== benchmarks.{figure}", flush=True)
        code = subprocess.run([sys.executable, "-m", f"benchmarks.{figure}"], check=False).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
