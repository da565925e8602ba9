"""Dagster's UI as the canary opens it: started as a program, asked for everything it can show.

Here: what is asked, and the answers. Not here: whether the UI works (scenarios/test_cli_ui.py).
"""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from analytics_replica_tests.support.commands import Ended, program, start
from analytics_replica_tests.support.patience import eventually

_METADATA = "metadataEntries { label description ... on TextMetadataEntry { text } }"
QUESTIONS = {
    "runs": "{ runsOrError { ... on Runs { results { runId status } } } }",
    "logs": "query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { "
    "... on MessageEvent { message } "
    "... on ExecutionStepFailureEvent { error { message stack cause { message stack } } "
    f"failureMetadata {{ {_METADATA} }} }} "
    f"... on MaterializationEvent {{ {_METADATA} }} }} }} }} }}",
    "assets": "{ assetNodes { assetKey { path } description "
    f"assetMaterializations(limit: 3) {{ {_METADATA} }} }} }}",
}


def opened(config: str, environ: Mapping[str, str]) -> Ended:
    """`ui`, started, asked for runs, logs and assets, and ended; the answers are in its output."""
    port = _free_port()
    process = start(program("--config", config, "ui", "--port", str(port)), environ)
    answers: dict[str, Any] = {}
    try:
        eventually(lambda: process.poll() is not None or _is_ready(port), 120)
        answers["runs"] = _asked(port, "runs")
        for run in answers["runs"]["data"]["runsOrError"]["results"]:
            answers[run["runId"]] = _asked(port, "logs", run=run["runId"])
        answers["assets"] = _asked(port, "assets")
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return Ended(process.returncode, json.dumps(answers, ensure_ascii=False) + "\n" + out, err)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        return bool(_asked(port, "assets")["data"]["assetNodes"])
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _asked(port: int, what: str, **variables: str) -> Any:
    body = json.dumps({"query": QUESTIONS[what], "variables": variables}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own webserver
        return json.load(answer)
