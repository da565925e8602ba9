"""The roster: following replica.yaml when a table leaves it or changes its name in staging.

Here: bringing the ledger's list of tables in line with the settings. Not here: tables that are
new (plans.py makes them), columns.
"""

from __future__ import annotations

from dataclasses import replace

from analytics_replica.domain.tables import TableName
from analytics_replica.settings.load import Settings
from analytics_replica.staging import bookkeeping, ddl
from analytics_replica.staging.ledger import Ledger
from analytics_replica.staging.warehouse import Transaction


def follow_settings(within: Transaction, settings: Settings, ledger: Ledger) -> Ledger:
    """The ledger without tables that left replica.yaml, and with their present names in staging.

    A table that left stays in staging as it is; if it comes back, it must be copied again, for
    nobody landed its changes meanwhile. A table with a new alias is renamed.
    """
    warehouse = settings.replica.warehouse
    schema = warehouse.staging_schema
    present = ddl.held_tables(within, schema)
    kept = {}
    for table, known in ledger.tables.items():
        if table not in settings.tables:
            bookkeeping.forget_table(within, table)
            continue
        name = settings.staging_name(table)
        if name != known.staging_name:
            if known.staging_name in present and name not in present:
                ddl.rename_table(within, TableName(schema, known.staging_name), name)
            past = ddl.held_tables(within, warehouse.history_schema)
            if known.staging_name in past and name not in past:
                old = TableName(warehouse.history_schema, known.staging_name)
                ddl.rename_table(within, old, name)
            known = replace(known, staging_name=name)  # noqa: PLW2901 - the same table, renamed
            bookkeeping.rename_table(within, table, name)
        kept[table] = known
    return replace(ledger, tables=kept)
