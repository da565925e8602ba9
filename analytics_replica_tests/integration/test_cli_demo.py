"""The demo's servers from the command line: made, found again, stopped, removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics_replica_tests.support.commands import Ended, call
from analytics_replica_tests.support.pipeline import open_directory


@pytest.fixture
def root() -> Iterator[Path]:
    made = open_directory()
    yield made
    call("--config", str(made / "replica.yaml"), "demo", "down")
    shutil.rmtree(made, ignore_errors=True)


def demo(root: Path, *arguments: str) -> Ended:
    return call("--config", str(root / "replica.yaml"), "demo", *arguments)


def test_the_demos_servers_are_made_found_again_stopped_and_removed(root: Path) -> None:
    assert demo(root, "status", "--json").json["running"] is False
    started = demo(root, "up")
    assert started.code == 0, started.err
    assert "Started production, warehouse, dagster." in started.out
    assert (root / ".demo" / "demo.env").stat().st_mode & 0o077 == 0
    assert demo(root, "up").out.startswith("All servers were running already.")
    assert demo(root, "status", "--json").json["running"] is True

    no_shop = demo(root, "traffic", "--seconds", "1")
    assert no_shop.code == 80
    assert "demo run" in no_shop.err

    assert demo(root, "down").code == 0
    assert demo(root, "traffic").code == 80
    assert demo(root, "reset").code == 0
    assert not (root / ".demo").exists()


def test_a_folder_that_is_not_a_demos_is_not_removed(root: Path) -> None:
    (root / ".demo").mkdir()
    (root / ".demo" / "thesis.tex").touch()
    ended = demo(root, "reset")
    assert ended.code == 80
    assert (root / ".demo" / "thesis.tex").exists()


def test_programs_that_are_not_postgresql_are_told(root: Path) -> None:
    ended = demo(root, "up", "--postgres-bin", str(root))
    assert ended.code == 80
    assert "has no initdb" in ended.err
