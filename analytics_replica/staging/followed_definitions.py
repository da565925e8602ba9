"""What staging's tables have of production beyond rows, brought up to date at the end of an apply.

Here: the order, and which tables. Not here: comments (comments.py), indexes (indexes.py), types
(type_changes.py).
"""

from __future__ import annotations

from collections.abc import Collection

from analytics_replica.domain.definitions import Definitions
from analytics_replica.domain.tables import TableName
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ddl
from analytics_replica.staging.comments import follow_comments
from analytics_replica.staging.indexes import follow_indexes
from analytics_replica.staging.type_changes import drop_unused
from analytics_replica.staging.warehouse import Transaction


def follow_definitions(
    within: Transaction,
    settings: Settings,
    schema: str,
    newest: Definitions,
    following: Collection[TableName],
) -> None:
    """Gives the tables of this schema that follow production its comments and indexes. Repeatable.

    To be called when all rows are there. A table of which the definitions say nothing (they are of
    an older release) stays as it is; so does one that stands still.
    """
    held = ddl.held_tables(within, schema)
    defined = {
        settings.staging_name(definition.table): definition
        for definition in newest.tables
        if definition.table in following and definition.table in settings.tables
    }
    ours = {name: d for name, d in defined.items() if name in held and held[name].ours}
    follow_comments(within, schema, ours)
    reserved = {settings.staging_name(table) for table in settings.tables}
    follow_indexes(within, schema, ours, held, reserved)
    drop_unused(within, settings.replica.warehouse.staging_schema)
