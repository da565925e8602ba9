"""A sample of a physical copy, for those who classify columns: never of production itself.

Here: choosing rows, reading them, and what they say as evidence. Not here: judging values
(masking.evidence), making the physical copy (first_copy.py, source). The rows are in this process's
memory until their table is judged; they are never written, logged or named in an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import psycopg2
import psycopg2.errors

from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import Column, Relations, Table, TableName
from analytics_replica.landing.first_copy import physical_copy, sweep_base_backup
from analytics_replica.masking.evidence import Evidence, look_at
from analytics_replica.masking.kinds import Kind
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import Connection, refused
from analytics_replica.settings.load import Settings
from analytics_replica.source.copy_catalog import read_relations
from analytics_replica.source.physical_copy import PhysicalCopy, inspect, standing_still
from analytics_replica.source.pieces import pieces_of
from analytics_replica.source.replication import SourceConnection

ROWS: Final = 2000
"""How many rows of a table are looked at: enough to see what one value in 500 is."""

AT_MOST: Final = timedelta(seconds=60)
"""How long one table may take."""

_LONGEST_TEXT: Final = 2000
"""Characters of a value that are looked at."""

_JUDGED: Final = frozenset(Kind) - {Kind.FLAG, Kind.MOMENT, Kind.UUID}
_RAW_BYTES: Final = frozenset({"bytea", "bytea[]"})

STEP: Final = "sample, tables"


@dataclass(frozen=True)
class Sample:
    """What a physical copy says: its tables, their keys, and evidence for columns that were read.

    `unread` says of a table why nothing was read of it. No value is in it.
    """

    tables: Mapping[TableName, Table]
    relations: Relations = field(default_factory=Relations)
    evidence: Mapping[TableName, Mapping[str, Evidence]] = field(default_factory=dict)
    unread: Mapping[TableName, str] = field(default_factory=dict)

    def of(self, table: TableName) -> Mapping[str, Evidence]:
        """The evidence for the columns of this table; empty if nothing was read."""
        return self.evidence.get(table, {})


def sample(
    settings: Settings,
    tables: Collection[TableName],
    *,
    rows: int = ROWS,
    progress: Progress = SILENT,
) -> Sample:
    """The catalog of a physical copy, and evidence from at most so many rows of each of the tables.

    From the copy that `source.physical_copy` names, else from a base backup, which is gone when
    this returns or fails. CopyFailed if there is neither; production's tables are never read. Two
    samples of a copy that stands still are the same.
    """
    with _copy(settings, progress) as copy:
        return sample_of(copy, tables, rows=rows, progress=progress)


def sample_of(
    copy: PhysicalCopy,
    tables: Collection[TableName],
    *,
    rows: int = ROWS,
    progress: Progress = SILENT,
) -> Sample:
    """As `sample`, from this copy. A table that takes too long is named in `unread`."""
    with standing_still(copy) as opened:
        found = read_tables(opened)
        relations = read_relations(opened, found)
        wanted = sorted(set(tables) & set(found))
        pages = _pages(opened, wanted)
    evidence: dict[TableName, Mapping[str, Evidence]] = {}
    unread: dict[TableName, str] = {}
    for done, name in enumerate(wanted):
        progress(STEP, done, len(wanted))
        try:
            # One connection for each: a statement that was cancelled ends its transaction.
            with standing_still(copy) as opened:
                evidence[name] = _looked_at(opened, found[name], pages[name], rows)
        except _TooLong:
            unread[name] = f"reading {rows:,} rows took longer than {AT_MOST.seconds} s"
    progress(STEP, len(wanted), len(wanted))
    return Sample(found, relations, evidence, unread)


class _TooLong(Exception):
    """The server cancelled the statement."""


@dataclass(frozen=True)
class _Pages:
    """How large a table is, and whether its rows are in partitions."""

    total: int
    partitioned: bool


@contextlib.contextmanager
def _copy(settings: Settings, progress: Progress) -> Iterator[PhysicalCopy]:
    source = settings.replica.source
    if source.physical_copy is not None:
        yield inspect(settings.secrets.get(source.physical_copy))
        return
    sweep_base_backup(settings)
    with SourceConnection(settings.secrets.get(source.dsn)) as production:
        state = production.read_state(source.slot, source.publication)
    # Captures may go on meanwhile, and production removes log that only the backup still needs.
    keeping = f"{source.slot[:56]}_sample"
    with physical_copy(settings, state.server_version // 10_000, progress, keeping) as copy:
        yield copy


def _pages(connection: Connection, tables: Collection[TableName]) -> dict[TableName, _Pages]:
    found = dict.fromkeys(tables, _Pages(0, partitioned=False))
    for piece in pieces_of(connection, tables):
        known = found[piece.table]
        found[piece.table] = _Pages(
            known.total + piece.pages, known.partitioned or piece.relation != piece.table
        )
    return found


def _looked_at(
    connection: Connection, table: Table, pages: _Pages, rows: int
) -> dict[str, Evidence]:
    columns = [c for c in table.columns if _is_judged(c)]
    if not columns:
        return {}
    values = _read(connection, _statement(table.name, columns, pages, rows), table.name)
    return {
        column.name: look_at(
            (row[position] for row in values), array=column.type_name.endswith("[]")
        )
        for position, column in enumerate(columns)
    }


def _is_judged(column: Column) -> bool:
    return Kind.of(column) in _JUDGED and column.type_name not in _RAW_BYTES


def _statement(table: TableName, columns: list[Column], pages: _Pages, rows: int) -> sql.Sql:
    """Random rows of random pages, so that neither the oldest nor the newest decide.

    The values are shortened after the rows are chosen: a long one that is not chosen is not read.
    """
    shortened = sql.join(
        ", ",
        (
            sql.compose(
                "left({column}::text, {longest})",
                column=sql.name(column.name),
                longest=sql.number(_LONGEST_TEXT),
            )
            for column in columns
        ),
    )
    share = min(100.0, 100.0 * max(64, rows // 4) / max(pages.total, 1))
    return sql.compose(
        "select {shortened} from (select * from {only} {table} tablesample system ({share}) "
        "repeatable (1) order by md5(ctid::text) limit {rows}) chosen",
        shortened=shortened,
        # Rows of a child table are not the table's own; those of partitions are.
        only=sql.compose("" if pages.partitioned else "only"),
        table=sql.table(table),
        share=sql.literal(f"{share:.6f}"),
        rows=sql.number(rows),
    )


def _read(
    connection: Connection, statement: sql.Sql, table: TableName
) -> list[tuple[str | None, ...]]:
    limit = sql.compose(
        "set local statement_timeout = {ms}", ms=sql.number(int(AT_MOST.total_seconds() * 1000))
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(limit.text)
            cursor.execute(statement.text)
            return cursor.fetchall()
    except psycopg2.errors.QueryCanceled:
        raise _TooLong from None
    except psycopg2.errors.LockNotAvailable:
        raise  # standing_still says what it means
    except psycopg2.Error as cause:
        raise refused(cause, f"sampling {table} in the physical copy") from None
