"""Documentation keeps its word: links lead somewhere, and named tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analytics_replica_tests.architecture.repository import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
GUARANTEES = ROOT / "docs" / "guarantees.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+?)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_promise_names_a_test_that_exists_in_the_file_it_links() -> None:
    named = re.findall(r"\[(test_\w+)\]\(\.\./(\S+?)\)", GUARANTEES.read_text(encoding="utf-8"))
    assert len(named) > 30
    missing = [
        test
        for test, file in named
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []
