"""Copying tables: every row as it was at one position, from a physical copy of production.

Here: reading its pieces with several readers at once, sealing the rows, writing them as parts. Not
here: how the physical copy comes to be (source), when its parts are landed (first_copy.py,
recopy.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa
import pyarrow.csv

from analytics_replica.domain.batches import LandedFile
from analytics_replica.domain.progress import Progress
from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.errors import CopyFailed, PolicyViolation
from analytics_replica.landing.copy_area import CopyArea, columns_key, part_key
from analytics_replica.landing.events import copied_rows
from analytics_replica.landing.parquet import TableWriter
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.references import require_together
from analytics_replica.masking.seal import TableSeal
from analytics_replica.masking.treatments import Kind
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.settings.secrets import MaskingKeys
from analytics_replica.source.copy_catalog import published_columns, read_relations
from analytics_replica.source.physical_copy import (
    PhysicalCopy,
    read_rows,
    require_published_before,
    standing_still,
)
from analytics_replica.source.pieces import Piece, pieces_of

CHUNK_BYTES: Final = 8 * 2**20
"""Rows are decoded together in pieces of about this size: large enough to be columnar, small
enough that memory does not grow with the table."""

LOOK_EVERY_S: Final = 0.5
"""How often progress is told while the readers work."""


@dataclass(frozen=True)
class CopyWork:
    """What is copied and how: the policy's tables, by so many readers.

    `together` is the policy of all tables, also those that are not copied now: treatments must go
    with each other. `reached` hears the name of each point that a crash test may stop at. `again`
    goes on with columns that nobody classified, where a first copy refuses them: a repair must not
    wait.
    """

    policy: Policy
    together: Policy
    keys: MaskingKeys
    publication: str
    workers: int
    progress: Progress
    reached: Callable[[str], None]
    again: bool = False


def copy_tables(copy: PhysicalCopy, area: CopyArea, work: CopyWork) -> tuple[LandedFile, ...]:
    """Every row of the policy's tables as complete parts of the area, in the order of ordinals.

    Parts that the area has already are not read again. PolicyViolation, before any row is read, if
    a table or column does not fit the policy.
    """
    with standing_still(copy) as opened:
        read = read_tables(opened, set(work.policy.tables))
        found = {name: work.policy.captured(table) for name, table in read.items()}
        require_classified(found, work.policy, again=work.again)
        require_published_before(opened, work.publication, work.policy.tables)
        require_together(work.together, read_relations(opened, work.policy.tables))
        published = published_columns(opened, work.publication)
        pieces = pieces_of(opened, work.policy.tables)
    leaving = {
        name: replace(table, columns=_leaving(table, work.policy, published))
        for name, table in found.items()
    }
    seals = {t: TableSeal.of(table, work.policy, work.keys) for t, table in leaving.items()}
    return _Copying(copy, area, work, leaving, seals, pieces).run()


def require_classified(
    found: dict[TableName, Table], policy: Policy, *, again: bool = False
) -> None:
    """PolicyViolation unless every table exists and all columns (but for `again`) are listed."""
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
        if not again and (unlisted := policy.unlisted(found[name])):
            raise PolicyViolation(
                what=f"Nobody classified {name}.{unlisted[0]}"
                + (f" (and {len(unlisted) - 1} more columns)" if len(unlisted) > 1 else "")
                + ".",
                why="A column passes only if replica.yaml says how; nothing was copied.",
                next="Add it to replica.yaml as keep, drop or with a mask.",
            )
        policy.check(found[name])


def _leaving(
    table: Table, policy: Policy, published: Collection[tuple[TableName, str]]
) -> tuple[Column, ...]:
    """The columns that are copied: those that are listed, and those that the stream brings, too."""
    listed = set(policy.published(table.name))
    return tuple(
        column
        for column in table.columns
        if column.name in listed
        or (
            (table.name, column.name) in published
            and policy.treatment(table.name, column.name).kind is not Kind.DROP
        )
    )


class _Stopped(Exception):
    """Another reader failed, so this one ends, too."""


@dataclass
class _Copying:
    """The readers of one copy and how far they are."""

    copy: PhysicalCopy
    area: CopyArea
    work: CopyWork
    tables: Mapping[TableName, Table]
    seals: Mapping[TableName, TableSeal]
    pieces: Sequence[Piece]
    rows: int = 0
    pages: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> tuple[LandedFile, ...]:
        self._tell()
        with ThreadPoolExecutor(min(self.work.workers, max(1, len(self.pieces)))) as readers:
            running = [readers.submit(self._piece, piece) for piece in self.pieces]
            try:
                self._wait(running)
            except BaseException:
                self.stopped.set()
                readers.shutdown(wait=True, cancel_futures=True)
                raise
        self._tell()
        return tuple(done.result() for done in running)

    def _wait(self, running: Sequence[Future[LandedFile]]) -> None:
        waiting: set[Future[LandedFile]] = set(running)
        while waiting:
            done, waiting = wait(waiting, LOOK_EVERY_S, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            self._tell()

    def _tell(self) -> None:
        with self.lock:
            rows, pages = self.rows, self.pages
        self.work.progress("copy, rows", rows, None)
        self.work.progress("copy, pages", pages, sum(piece.pages for piece in self.pieces))

    def _piece(self, piece: Piece) -> LandedFile:
        table, seal = self.tables[piece.table], self.seals[piece.table]
        key = part_key(piece, columns_key(seal.columns))
        file = self.area.complete(key)
        if file is None:
            part = _Part(table, seal, piece, self.copy.position.value - 1, self._counted)
            file = part.write(self.copy, self.area, key)
            self.work.reached("copied a part")
        else:
            self._counted(file.rows)
        with self.lock:
            self.pages += piece.pages
        return file

    def _counted(self, rows: int) -> None:
        if self.stopped.is_set():
            raise _Stopped
        with self.lock:
            self.rows += rows


@dataclass
class _Part:
    """Collects CSV lines of one piece and writes them in chunks."""

    table: Table
    seal: TableSeal
    piece: Piece
    lsn: int
    counted: Callable[[int], None]
    _lines: list[bytes] = field(default_factory=list)
    _size: int = 0
    _rows: int = 0

    def write(self, copy: PhysicalCopy, area: CopyArea, key: str) -> LandedFile:
        """Reads the piece; its part is complete then. A piece without rows gives a file, too."""
        self._writer = TableWriter(self.table.name, self.seal, area.unfinished())
        try:
            with standing_still(copy) as opened:
                read_rows(opened, self.piece, self.table.columns, self._take)
            self._flush()
            if not self._rows:
                empty = [pa.nulls(0, pa.string()) for _ in self.table.columns]
                self._writer.write(copied_rows(empty, self.seal, self.lsn, 0))
            return area.keep(key, self._writer.target, self._writer.finish(""))
        finally:
            self._writer.discard()

    def _take(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        texts = parse_csv(b"".join(lines), len(self.table.columns), self.table.name)
        first = self.piece.first_ordinal + self._rows
        events = copied_rows(texts, self.seal, self.lsn, first)
        self._writer.write(events)
        self._rows += events.num_rows
        self.counted(events.num_rows)


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
