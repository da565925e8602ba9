"""Tables that cannot have a history, or keep deleted rows, say so and stop nobody else.

Not here: what histories and kept rows tell (test_staging_versions.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analytics_replica.errors import SettingsInvalid
from analytics_replica_tests.support.drawings import shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.servers import Database


@pytest.mark.parametrize("option", [{"history": True}, {"deleted": "keep"}])
def test_a_table_without_a_key_stands_still_and_says_which_line_is_wrong(
    option: dict[str, Any], tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG), options={LOG.name: option})
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo |", LOG: "at | line"})
    reasons = landing.apply(warehouse).quarantined
    assert list(reasons) == [LOG.table]
    assert "has no key" in reasons[LOG.table]
    assert shown(warehouse, "staging.people") == [("1", "Oslo", None)]


@pytest.mark.parametrize("option", [{"history": True}, {"deleted": "keep"}])
def test_tables_that_cannot_remember_do_not_stop_the_others_while_nothing_changes(
    option: dict[str, Any], tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (PEOPLE, LOG))
    landing.copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo |", LOG: "at | line"})
    landing.apply(warehouse)
    warehouse.execute("drop table staging.people")
    landing.options = {PEOPLE.name: option, LOG.name: option}
    landing.stream("0/200")
    landing.apply(warehouse)
    landing.stream("0/300", {LOG: "lsn | op | at | line\n0/210 | insert | 2026-01-01 | on"})
    assert list(landing.apply(warehouse).quarantined) == [LOG.table]


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"append_only": True, "history": True}, "`history` needs a key"),
        ({"append_only": True, "deleted": "keep"}, "`deleted` needs a key"),
        ({"deleted_days": 3}, "says nothing without"),
        ({"deleted": "hide"}, "'remove' or 'keep'"),
    ],
)
def test_options_that_cannot_work_are_refused_with_their_line(
    option: dict[str, Any], says: str, tmp_path: Path, warehouse: Database
) -> None:
    landing = Landing(tmp_path, (LOG,), options={LOG.name: option})
    with pytest.raises(SettingsInvalid) as refused:
        landing.settings(warehouse)
    assert says in refused.value.what
    lines = (tmp_path / "replica.yaml").read_text(encoding="utf-8").splitlines()
    number = int(refused.value.what.split("line ")[1].split(":")[0])
    assert any(word in lines[number - 1] for word in (*option, LOG.name))
