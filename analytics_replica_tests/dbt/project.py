"""The dbt project as tests use it: parsed or built for real, into a directory of the test.

Not here: the project itself (dbt_project/), running it at night (orchestration).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from dbt.cli.main import dbtRunner

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = ROOT / "dbt_project"


def run_dbt(target: Path, *arguments: str) -> list[str]:
    """Runs dbt in this process; returns what failed, each with dbt's reason."""
    where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    output = ["--target-path", str(target), "--log-path", str(target), "--quiet"]
    done = dbtRunner().invoke([*arguments, *where, *output])
    if done.exception is not None:
        return [str(done.exception)]
    results = getattr(done.result, "results", [])
    failed = [r for r in results if r.status in {"error", "fail", "warn", "skipped"}]
    return [f"{r.node.name}: {r.status}: {r.message}" for r in failed]


def manifest_of(target: Path) -> dict[str, Any]:
    """The manifest.json that the last run wrote there."""
    manifest: dict[str, Any] = json.loads((target / "manifest.json").read_bytes())
    return manifest
