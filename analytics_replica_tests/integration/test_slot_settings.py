"""What replica.yaml asks of the slot, and what it cannot ask, judged by PostgreSQL.

Not here: the tables of the script (test_dba_script.py), decoding from a standby (scenarios).
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

from analytics_replica.errors import SettingsInvalid
from analytics_replica.source.preflight import SLOT, preflight
from analytics_replica_tests.support.pipeline import ROLE as OUR_ROLE
from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.servers import Database

BOTH: Columns = {"id": "keep", "v": "keep"}


@pytest.mark.parametrize("failover", [True, False])
def test_the_slot_is_kept_on_standbys_if_replica_yaml_says_so(
    production: Database, pipeline: Callable[..., Pipeline], *, failover: bool
) -> None:
    production.execute("create table t (id int primary key, v text)")
    made = pipeline({"public.t": BOTH}, **{"source.failover": failover})
    made.prepare()
    assert production.rows(
        "select failover from pg_replication_slots where slot_name = %s", (made.slot,)
    ) == [(failover,)]
    made.changes["source.failover"] = not failover
    (slot,) = [answer for answer in preflight(made.settings) if answer.about == SLOT]
    assert "failover" in slot.findings[0].says
    with (
        psycopg2.connect(
            production.dsn(OUR_ROLE), connection_factory=LogicalReplicationConnection
        ) as opened,
        opened.cursor() as cursor,
    ):
        cursor.execute(slot.findings[-1].says.split(": ")[1].split("  ")[0])
    assert {a.about: a.passed for a in preflight(made.settings)}[SLOT]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"source.failover": True, "source.decode_from_standby": True},
            "no `failover` for a slot that is on a standby",
        ),
        ({"source.publication": "p" * 56}, "`publication` has at most 55 bytes"),
    ],
)
def test_settings_that_postgresql_could_not_have_are_refused(
    pipeline: Callable[..., Pipeline], changes: dict[str, object], says: str
) -> None:
    made = pipeline({"public.t": BOTH}, **changes)
    made.append_only = ("public.t",)
    with pytest.raises(SettingsInvalid, match=says):
        made.settings  # noqa: B018 - reading it loads the file
