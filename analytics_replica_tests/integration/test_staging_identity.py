"""Staging and landing of an older release go on: what they do not say is not held against them.

Not here: what follows when production's catalog says that a table was replaced
(scenarios/test_schema_changes.py).
"""

from __future__ import annotations

import json
from pathlib import Path

from analytics_replica.landing.manifest import from_json, to_json
from analytics_replica_tests.support.drawings import shown
from analytics_replica_tests.support.landed import PEOPLE, Landing, three_people
from analytics_replica_tests.support.servers import Database

INSERT = "lsn | op | id | city | bio\n0/110 | insert | 4 | Rome |"


def test_a_manifest_of_an_older_release_is_read(tmp_path: Path) -> None:
    manifest = Landing(tmp_path, (PEOPLE,)).copy("0/100", {PEOPLE: "id | city | bio\n1 | Oslo |"})
    body = json.loads(to_json(manifest))
    del body["catalog"]
    for file in body["files"]:
        del file["oid"], file["flaw"]
    assert from_json(json.dumps(body).encode(), "old") == manifest


def test_a_ledger_of_an_older_release_goes_on(tmp_path: Path, warehouse: Database) -> None:
    landing = Landing(tmp_path, (PEOPLE,))
    three_people(landing, warehouse)
    warehouse.execute(
        "alter table ops.applied_tables drop column identity; "
        "update ops.applied_tables set columns = (select jsonb_agg(c - 'was') "
        "from jsonb_array_elements(columns) c)"
    )
    landing.stream("0/200", {PEOPLE: INSERT})
    assert landing.apply(warehouse).quarantined == {}
    assert len(shown(warehouse, "staging.people")) == 4
