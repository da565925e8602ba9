"""The first copy: every table as it was at one position, from a physical copy of production.

Here: reading the copy's tables in bulk, sealing them, landing them as one batch. Not here: how the
physical copy comes to be (source.snapshot), what follows it (capture.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa
import pyarrow.csv

from analytics_replica.domain.progress import Progress
from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.errors import CopyFailed, PolicyViolation
from analytics_replica.landing.batch import BatchInProgress
from analytics_replica.landing.events import copied_rows
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import connect
from analytics_replica.settings.secrets import MaskingKeys
from analytics_replica.source.catalog_tables import catalog_of_copy
from analytics_replica.source.snapshot import PhysicalCopy, read_rows

CHUNK_BYTES: Final = 8 * 2**20
"""Rows are decoded together in pieces of about this size: large enough to be columnar, small
enough that memory does not grow with the table."""


def copy_tables(
    copy: PhysicalCopy,
    batch: BatchInProgress,
    policy: Policy,
    keys: MaskingKeys,
    progress: Progress,
) -> dict[TableName, int]:
    """Lands all tables of the policy as they are in the copy; returns the rows of each.

    PolicyViolation, before any row is read, if a table or column does not fit the policy.
    """
    opened = connect(copy.dsn, application="analytics-replica first copy")
    try:
        with opened:
            found = read_tables(opened, set(policy.tables))
            require_classified(found, policy)
            publication = batch.origin.source.publication
            catalog = catalog_of_copy(opened, copy.position, publication)
            batch.origin = replace(batch.origin, catalog=catalog)
            rows: dict[TableName, int] = {}
            for number, (name, table) in enumerate(sorted(found.items())):
                progress("first copy", number, len(found))
                leaving = replace(table, columns=_not_dropped(table, policy))
                sealed = TableSeal.of(leaving, policy, keys)
                landing = _Landing(leaving, sealed, batch, copy.position.value - 1)
                read_rows(opened, leaving, landing.take)
                rows[name] = landing.finish()
            progress("first copy", len(found), len(found))
            return rows
    finally:
        opened.close()


def require_classified(found: dict[TableName, Table], policy: Policy) -> None:
    """PolicyViolation unless every table exists and every column of them is in the policy."""
    for name in sorted(policy.tables):
        if name not in found:
            raise PolicyViolation(
                what=f"replica.yaml lists table {name}, which production does not have.",
                why="A night without it would look complete; nothing was copied.",
                next="Correct the name, or remove the table from replica.yaml.",
            )
        if absent := policy.absent(found[name]):
            raise PolicyViolation(
                what=f"replica.yaml lists {name}.{absent[0]}, which production does not have.",
                why="A rule for a column that is not there protects nothing; nothing was copied.",
                next="Correct the name, or remove the column from replica.yaml.",
            )
        if unlisted := policy.unlisted(found[name]):
            raise PolicyViolation(
                what=f"Nobody classified {name}.{unlisted[0]}"
                + (f" (and {len(unlisted) - 1} more columns)" if len(unlisted) > 1 else "")
                + ".",
                why="A column passes only if replica.yaml says how; nothing was copied.",
                next="Add it to replica.yaml as keep, drop or with a mask.",
            )
        policy.check(found[name])


def _not_dropped(table: Table, policy: Policy) -> tuple[Column, ...]:
    published = set(policy.published(table.name))
    return tuple(column for column in table.columns if column.name in published)


@dataclass
class _Landing:
    """Collects CSV lines of one table and lands them in pieces."""

    table: Table
    seal: TableSeal
    batch: BatchInProgress
    lsn: int
    _lines: list[bytes] = field(default_factory=list)
    _size: int = 0
    _rows: int = 0

    def take(self, line: bytes) -> None:
        """One row, as a line of CSV."""
        self._lines.append(line)
        self._size += len(line)
        if self._size >= CHUNK_BYTES:
            self._flush()

    def finish(self) -> int:
        """Lands what is left; returns the rows of the table. An empty table lands a file, too."""
        writer = self.batch.writer(self.table.name, self.seal)
        self._flush()
        if not self._rows:
            empty = [pa.nulls(0, pa.string()) for _ in self.table.columns]
            writer.write(copied_rows(empty, self.seal, self.lsn, 0))
        return self._rows

    def _flush(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        texts = parse_csv(b"".join(lines), len(self.table.columns), self.table.name)
        events = copied_rows(texts, self.seal, self.lsn, self._rows)
        self.batch.writer(self.table.name, self.seal).write(events)
        self._rows += events.num_rows


def parse_csv(data: bytes, columns: int, table: TableName) -> list[pa.Array]:
    """The columns of these CSV lines as texts; unquoted empty values are NULL, quoted are ''.

    CopyFailed, naming the table only, if the lines are not what COPY writes.
    """
    names = [f"c{position}" for position in range(columns)]
    try:
        read = pa.csv.read_csv(
            pa.BufferReader(data),
            # One block: a row that is longer than Arrow's block would be an error otherwise.
            read_options=pa.csv.ReadOptions(
                column_names=names, block_size=len(data) + 1, use_threads=True
            ),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        raise CopyFailed(
            what=f"Rows of {table} could not be read from the physical copy.",
            why="They are not in the form that COPY writes; nothing was landed.",
            next="Report the server's version and the table's column types.",
        ) from None
    return [read.column(name).combine_chunks() for name in names]
