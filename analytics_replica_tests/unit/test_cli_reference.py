"""The reference pages say what the code says: they are written from it."""

from __future__ import annotations

import pytest

from analytics_replica.cli.reference import PAGES
from analytics_replica.settings.schema import ReplicaFile
from analytics_replica_tests.support.commands import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run: python -m analytics_replica.cli.reference"


def test_the_page_of_settings_has_a_section_for_every_part_of_the_file() -> None:
    page = PAGES["replica-yaml.md"]()
    for section in ReplicaFile.model_fields:
        assert f"\n## {section}" in page
