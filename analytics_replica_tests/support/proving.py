"""The masking proof as tests ask for it: a table of one column, its treatment, its values.

Not here: what the proof promises (integration/test_masking_proof*.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.masking.proof.tables import Allowed, HeldColumn, Wanted, prove_masking
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.postgres.connect import connection
from analytics_replica_tests.support.servers import Database

HELD = TableName("staging", "people")
KEEP = Treatment(Kind.KEEP)


def hold(warehouse: Database, staging_type: str, values: Iterable[object]) -> None:
    """Makes staging.people with one column v that holds these values."""
    warehouse.execute("create schema if not exists staging; drop table if exists staging.people")
    warehouse.execute(f"create table staging.people (v {staging_type})")
    with warehouse.session() as cursor:
        for value in values:
            cursor.execute("insert into staging.people values (%s)", (value,))


def proof(
    warehouse: Database, treatment: Treatment, staging_type: str, *values: object, **options: Any
) -> Verdict:
    """The verdict on a table that holds these values under this treatment."""
    hold(warehouse, staging_type, values)
    return proof_of(warehouse, treatment, **options)


def proof_of(
    warehouse: Database,
    treatment: Treatment,
    *,
    landed: str | None = None,
    before: str | None = None,
    allowed: Allowed | None = None,
    keys: Iterable[str] = (),
    **options: Any,
) -> Verdict:
    """The verdict on the table as it is; `landed` and `before` are other recorded treatments."""
    column = HeldColumn("v", treatment.describe() if landed is None else landed, before)
    wanted = Wanted({"v": treatment}, allowed or Allowed(), frozenset(keys))
    with connection(warehouse.dsn()) as opened:
        return prove_masking(opened, HELD, [column], wanted, **options)
