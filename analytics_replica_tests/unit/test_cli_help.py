"""What a person meets before any work is done: help, versions, faults, and nothing private."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from analytics_replica.cli import main as entry
from analytics_replica.cli.main import app
from analytics_replica_tests.support.commands import call

VALUE = "ada@example.org"


def commands(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name)


EVERY_COMMAND = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_every_commands_help_has_an_example_and_its_exit_codes(command: tuple[str, ...]) -> None:
    shown = call(*command, "--help")
    assert shown.code == 0
    assert f"Example:  analytics-replica {' '.join(command)}" in " ".join(
        shown.out.split()
    ).replace("Example: ", "Example:  ")
    assert "Exit codes:" in shown.out


def test_the_commands_that_the_product_promises_are_there() -> None:
    promised = {
        "demo run",
        "ui",
        "doctor",
        "source sql",
        "capture",
        "run",
        "status",
        "check",
        "init",
    }
    assert promised <= {" ".join(command) for command in EVERY_COMMAND}


def test_an_unknown_command_ends_with_2_and_a_suggestion() -> None:
    ended = call("captur")
    assert ended.code == 2
    assert "capture" in ended.err


def test_an_unexpected_error_ends_with_90_and_its_text_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(**_: object) -> None:
        raise KeyError(VALUE)

    monkeypatch.setattr(entry, "app", broken)
    ended = call("capture")
    assert ended.code == 90
    assert "KeyError in " in ended.err
    assert "--debug" in ended.err
    assert VALUE not in ended.err + ended.out


def test_where_in_the_code_it_was_is_shown_only_when_asked_for_and_its_text_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(**_: object) -> None:
        raise KeyError(VALUE)

    monkeypatch.setattr(entry, "app", broken)
    asked, not_asked = call("--debug", "capture"), call("capture")
    assert "test_cli_help.py:" in asked.err
    assert "test_cli_help.py:" not in not_asked.err
    assert VALUE not in asked.err + asked.out


def test_results_go_to_stdout_and_errors_to_stderr() -> None:
    ended = call("--config", "/nonexistent/replica.yaml", "source", "sql")
    assert (ended.code, ended.out) == (20, "")
    assert "what  /nonexistent/replica.yaml cannot be read" in ended.err
