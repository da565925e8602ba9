"""The reference pages say what the code says: they are written from it."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
import typer.main

from analytics_replica.cli.main import app
from analytics_replica.cli.reference import PAGES
from analytics_replica.settings.schema import ReplicaFile
from analytics_replica_tests.architecture.repository import text_files
from analytics_replica_tests.support.commands import ROOT

NAMED: Final = re.compile(
    r"[`$] *(?:\.venv/bin/)?analytics-replica(?: --\S+ \S+)? ([a-z]+(?: [a-z]+)?)"
)
"""Commands as pages and messages write them: in backticks or after a prompt."""


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run: python -m analytics_replica.cli.reference"


def test_the_page_of_settings_has_a_section_for_every_part_of_the_file() -> None:
    page = PAGES["replica-yaml.md"]()
    for section in ReplicaFile.model_fields:
        assert f"\n## {section}" in page


def test_every_command_that_a_page_or_a_message_names_exists() -> None:
    root = typer.main.get_command(app)
    named = {
        words
        for file in text_files()
        if file.suffix in (".md", ".py", ".tmpl", ".yml", ".yaml", ".cfg")
        for words in NAMED.findall(file.read_text(encoding="utf-8"))
    }
    assert len(named) > 8
    unknown = [words for words in named if not _exists(root, words.split())]
    assert unknown == []


def _exists(group: Any, words: list[str]) -> bool:
    if not hasattr(group, "commands") or not words:
        return True
    return words[0] in group.commands and _exists(group.commands[words[0]], words[1:])
