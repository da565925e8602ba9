"""A side schema: tables made from landing alone, beside staging, with a ledger in memory.

Here: whose schema it is, building tables in it, bringing them forward. Not here: comparing them
with staging (compare.py), taking them over (swap.py). Nobody reads the schema, so each table is a
transaction of its own: none is so long that it keeps the warehouse from cleaning up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import WarehouseError
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.landing.points import Reached
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import compose, literal, name
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ddl
from analytics_replica.staging.advance import Advance, Advanced, CannotFollow
from analytics_replica.staging.ledger import AppliedTable, Ledger, State, read_ledger
from analytics_replica.staging.type_changes import StagingTypes, open_types
from analytics_replica.staging.upto import Upto, contained
from analytics_replica.staging.warehouse import Transaction, transaction
from analytics_replica.staging.windows import Pending, pending
from analytics_replica.staging.workbench import workbench_of

MARK: Final = "analytics-replica rebuild"
"""How the comment of a side schema begins: such a schema is ours to drop."""

_COMMENT: Final = """
select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1
"""


_SCHEMAS: Final = """
select nspname from pg_namespace
where obj_description(oid, 'pg_namespace') like %s order by nspname
"""


class CannotRebuild(WarehouseError):
    """Staging cannot be rebuilt as it was asked for; staging is as it was."""


@dataclass
class Side:
    """The side schema of one rebuild and what it contains."""

    settings: Settings
    schema: str
    tables: frozenset[TableName]
    now: datetime
    progress: Progress
    reached: Reached
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def dsn(self) -> str:
        """The warehouse's."""
        return self.settings.secrets.get(self.settings.replica.warehouse.dsn)

    @property
    def store(self) -> Store:
        """Landing's files."""
        return Store.of(self.settings)

    @property
    def contains(self) -> Upto:
        """What the side schema contains."""
        return contained(self.store, self.ledger)

    @property
    def complete(self) -> Mapping[TableName, AppliedTable]:
        """The tables that could be rebuilt."""
        known = self.ledger.tables.values()
        return {table.table: table for table in known if table.state is State.OK}

    @property
    def refused(self) -> Mapping[TableName, str]:
        """The tables that landing alone cannot give, and why."""
        known = self.ledger.tables.values()
        return {table.table: table.reason or "" for table in known if table.state is not State.OK}

    def begin(self) -> None:
        """Makes the schema, empty. What a rebuild that died left in it is dropped."""
        with transaction(self.dsn) as within:
            drop_side(within, self.schema)
            within.execute(compose("create schema {schema}", schema=name(self.schema)))
            self._says(within, "is being made, or its maker died: it may be dropped")

    def build(self, upto: Upto) -> None:
        """Builds every table, each in a transaction of its own."""
        todo = pending(self.store, Ledger(), self.tables, upto)
        after = todo.advanced(Ledger())
        made: dict[TableName, AppliedTable] = {}
        for number, table in enumerate(sorted(self.tables)):
            self.progress("rebuild", number, len(self.tables))
            windows = {t: window for t, window in todo.windows.items() if t == table}
            one = self._advanced(replace(todo, windows=windows), Ledger(), frozenset({table}))
            made |= one.tables
            self.reached("table built")
        self.progress("rebuild", len(self.tables), len(self.tables))
        self.ledger = replace(after, tables=made)

    def follow(self, upto: Upto) -> None:
        """Brings the tables to a later state, in one transaction; nothing if they are there."""
        if upto.reach <= self.contains.reach:
            return
        todo = pending(self.store, self.ledger, self.complete.keys(), upto)
        if todo.batches:
            done = self._advanced(todo, self.ledger, frozenset(self.complete))
            self.ledger = _told(self.ledger, todo, done)
        self.reached("followed")

    def finish(self, says: str) -> None:
        """Writes to the schema what it is now."""
        with transaction(self.dsn) as within:
            self._says(within, says)

    def _advanced(self, todo: Pending, before: Ledger, wanted: frozenset[TableName]) -> Advanced:
        refused: dict[TableName, WarehouseError] = {}
        while True:
            try:
                with workbench_of(self.settings) as bench, transaction(self.dsn) as within:
                    return Advance(
                        self.settings,
                        SILENT,
                        self.schema,
                        bench,
                        within,
                        before,
                        todo,
                        self._types(within, todo),
                        wanted,
                        self.now,
                        dict(refused),
                    ).made()
            except CannotFollow as stop:
                refused[stop.table] = stop.cause

    def _types(self, within: Transaction, todo: Pending) -> StagingTypes:
        """Staging's user types, which the tables share: as they follow production by now.

        Of the past the tables have the rows, with the labels that they have in staging.
        """
        newest = max(read_ledger(within.rows).last_batch, todo.batches[-1].sequence)
        found = [m for m in manifests(self.store) if m.sequence <= newest]
        schema = self.settings.replica.warehouse.staging_schema
        return open_types(within, self.store, found, schema)

    def _says(self, within: Transaction, what: str) -> None:
        comment = compose(
            "comment on schema {schema} is {text}",
            schema=name(self.schema),
            text=literal(f"{MARK}: {what}"),
        )
        within.execute(comment)


def side_schemas(conn: Connection) -> list[str]:
    """The schemas that rebuilds made and that are still there, sorted."""
    with conn.cursor() as cursor:
        cursor.execute(_SCHEMAS, (f"{MARK}%",))
        return [row[0] for row in cursor.fetchall()]


def drop_side(within: Transaction, schema: str) -> None:
    """Drops the schema with all that is in it; nothing if there is none.

    CannotRebuild if it is not one that a rebuild made.
    """
    found = within.rows(_COMMENT, schema)
    if not found:
        return
    if not (found[0][0] or "").startswith(MARK):
        raise CannotRebuild(
            what=f"There is already a schema {schema} that no rebuild made.",
            why="A rebuild drops what is in its side schema, so it takes only its own.",
            next="Name another schema with `--into`, or drop this one.",
        )
    for held in ddl.held_tables(within, schema):
        reading = ddl.dependents(within, TableName(schema, held))
        foreign = [str(reader.name) for reader in reading if reader.name.schema != schema]
        if foreign:
            raise CannotRebuild(
                what=f"{', '.join(foreign)} reads the side schema {schema}.",
                why="A rebuild drops the schema, and these would go with it.",
                next="Drop them, or name another schema with `--into`.",
            )
    within.execute(compose("drop schema {schema} cascade", schema=name(schema)))


def _told(before: Ledger, todo: Pending, done: Advanced) -> Ledger:
    """The ledger after this, as the warehouse would keep it."""
    after = todo.advanced(before)
    tables = {}
    for table, known in before.tables.items():
        now = done.tables.get(table)
        if now is None and known.state is State.OK:
            now = replace(
                known,
                last_batch=after.last_batch,
                position=max(known.position, after.position),
                identity=done.identities.get(table, known.identity),
            )
        elif now is not None:
            now = replace(
                now,
                last_lsn=now.last_lsn or known.last_lsn,
                last_commit_at=now.last_commit_at or known.last_commit_at,
            )
        tables[table] = now or known
    return replace(
        after, last_commit_at=after.last_commit_at or before.last_commit_at, tables=tables
    )
