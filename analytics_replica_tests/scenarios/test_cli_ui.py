"""`ui` as a program: it serves this machine only, loads the graph, and ends whole on Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.commands import program, start
from analytics_replica_tests.support.nights import DAGSTER_YAML, House, house

pytestmark = pytest.mark.slow

ASK = {"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { "
       "location { name } assetNodes { assetKey { path } } } } } }"}  # fmt: skip
READY_WITHIN_S = 120
ENDED_WITHIN_S = 40


@pytest.fixture
def club(server: LocalServer) -> Iterator[House]:
    with house(server) as made:
        home = made.root / "dagster_home"
        home.mkdir()
        (home / "dagster.yaml").write_text(DAGSTER_YAML)
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environ_of(club: House) -> dict[str, str]:
    url = club.dagster.dsn().replace("postgresql://", "postgresql+psycopg2://")
    return {
        **club.settings.secrets.environ,
        "DAGSTER_HOME": str(club.root / "dagster_home"),
        "TEST_DAGSTER_PG_URL": url,
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def graph_at(port: int) -> dict[str, object] | None:
    """The code location that the webserver shows; None while it is not ready."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps(ASK).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
            nodes = json.load(answer)["data"]["repositoriesOrError"].get("nodes")
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None
    return nodes[0] if nodes else None


def mentions(word: str) -> list[int]:
    """The processes whose environment mentions the word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_ui_serves_the_graph_on_this_machine_and_leaves_no_process_behind(
    club: House, ending: signal.Signals
) -> None:
    port = free_port()
    config = str(club.settings.file)
    # A shell's background job has interrupts ignored; that must not make it immortal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start(program("--config", config, "ui", "--port", str(port)), environ_of(club))
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        location = None
        until = time.monotonic() + READY_WITHIN_S
        while location is None and time.monotonic() < until and process.poll() is None:
            time.sleep(0.5)
            location = graph_at(port)
        process.send_signal(ending)
        out, err = process.communicate(timeout=ENDED_WITHIN_S)
    finally:
        process.kill()
    assert location is not None, err
    assert location["location"] == {"name": "analytics_replica"}
    keys = {"/".join(node["assetKey"]["path"]) for node in location["assetNodes"]}  # type: ignore[attr-defined]  # GraphQL's JSON
    assert {"raw/members", "staging/members", "gold/member_fees", "ready"} <= keys
    assert process.returncode == 0, err
    assert f"http://127.0.0.1:{port}" in out
    assert mentions(str(club.root / "dagster_home")) == []
