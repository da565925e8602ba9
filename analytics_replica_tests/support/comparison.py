"""Is staging what production is? Row by row, judged on the texts that PostgreSQL prints.

Here: production's rows with the masks applied to its values, staging's rows, and what differs.
Not here: how either came to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from analytics_replica.domain.tables import Table, TableName
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.treatments import Kind
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import connection
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica_tests.support.servers import Database

Row = tuple[str | None, ...]


def differences(
    production: Database, warehouse: Database, settings: Settings
) -> dict[TableName, tuple[int, int]]:
    """Tables where staging differs: (rows only in production, rows only in staging)."""
    policy = Policy.from_settings(settings)
    found = {}
    for name, expected in expected_rows(production, settings).items():
        staged = TableName(settings.replica.warehouse.staging_schema, settings.staging_name(name))
        actual = Counter(_texts(warehouse, staged, list(policy.published(name))))
        missing, extra = expected - actual, actual - expected
        if missing or extra:
            found[name] = (missing.total(), extra.total())
    return found


def expected_rows(production: Database, settings: Settings) -> dict[TableName, Counter[Row]]:
    """What every table must look like outside production: its rows now, through the masks."""
    policy = Policy.from_settings(settings)
    with connection(production.dsn()) as opened:
        tables = read_tables(opened, set(policy.tables))
    return {
        name: Counter(
            _masked(_texts(production, name, list(policy.published(name))), table, policy, settings)
        )
        for name, table in tables.items()
    }


def _texts(database: Database, table: TableName, columns: Sequence[str]) -> list[Row]:
    listed = ", ".join(f"{sql.name(column)}::text" for column in columns)
    with connection(database.dsn()) as opened, opened.cursor() as cursor:
        cursor.execute(f"select {listed} from {sql.table(table)}")
        rows: list[Any] = cursor.fetchall()
    return rows


def _masked(rows: Sequence[Row], table: Table, policy: Policy, settings: Settings) -> list[Row]:
    keys = masking_keys(settings)
    columns = []
    for position, name in enumerate(policy.published(table.name)):
        texts = pa.array([row[position] for row in rows], pa.string())
        done = policy.treatment(table.name, name)
        if done.kind is Kind.MASK and done.mask is not None:
            texts = mask_column(texts, done.mask, keys.active_key).cast(pa.string())
        columns.append(texts.to_pylist())
    return list(zip(*columns, strict=True))
