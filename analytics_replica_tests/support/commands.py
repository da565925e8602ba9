"""The command line as tests call it: in this process, or as a program of its own.

Here: calling it with an environment of the test's choice, and what it printed. Not here: pipelines
(support/pipeline.py).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from analytics_replica.cli.main import main
from analytics_replica_tests.support.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its result, printed with --json."""
        return json.loads(self.out)


def call(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """The command in this process, with only these variables of the product in its environment."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        patch.dict(os.environ, _clean(environ or {}), clear=True),
        patch.object(sys, "argv", ["analytics-replica", *arguments]),
        # The program's own hooks of last resort are not the test session's.
        patch.object(sys, "excepthook", sys.excepthook),
        patch.object(sys, "unraisablehook", sys.unraisablehook),
        patch.object(threading, "excepthook", threading.excepthook),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def call_on(pipeline: Pipeline, *arguments: str, **instead: str) -> Ended:
    """The command for this pipeline's replica.yaml; `instead` replaces variables."""
    settings = pipeline.settings
    environ = {**settings.secrets.environ, **instead}
    return call("--config", str(settings.file), *arguments, environ=environ)


def run_program(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """The command as a program of its own, for what keeps state in its process (dbt, Dagster)."""
    process = start(program(*arguments), environ or {})
    out, err = process.communicate(timeout=300)
    return Ended(process.returncode, out, err)


def program(*arguments: str) -> list[str]:
    """The command line of the program itself."""
    return [sys.executable, "-m", "analytics_replica.cli.main", *arguments]


def start(
    arguments: Sequence[str], environ: Mapping[str, str], **options: Any
) -> subprocess.Popen[str]:
    """A program that was started with a clean environment and these variables."""
    return subprocess.Popen(
        arguments,
        env=_clean(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        **options,
    )


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    ours = ("REPLICA_", "DAGSTER_", "SOURCE_DSN", "WAREHOUSE_DSN", "MASKING_KEY")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "COLUMNS": "100", **environ}
