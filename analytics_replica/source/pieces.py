"""Pieces: how the tables of a physical copy are divided, so that several can be read at once.

Here: ranges of pages of every table (of every partition of it), each with ordinals of its own.
Not here: reading them (physical_copy.py), who reads which (landing.initial_copy).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import CopyFailed
from analytics_replica.postgres.connect import Connection

PIECE_BYTES: Final = 128 * 2**20
"""A table is cut into pieces of this size: small enough that a crash repeats little and that two
readers end at about the same time, large enough that files are not many."""

MOST_ORDINALS: Final = 2**40
"""What an ordinal may be at most (staging writes LSN and ordinal as one number)."""

_LEAVES: Final = """
-- what holds the rows of every table, with its pages: the table itself, or the partitions that are
-- not divided further
select tn.nspname, t.relname, ln.nspname, l.relname,
       pg_relation_size(l.oid, 'main') / current_setting('block_size')::bigint
from pg_class t
join pg_namespace tn on tn.oid = t.relnamespace
cross join lateral (
    select t.oid where t.relkind = 'r'
    union all
    select p.relid from pg_partition_tree(t.oid) p where t.relkind = 'p' and p.isleaf
) leaf(oid)
join pg_class l on l.oid = leaf.oid and l.relkind = 'r'
join pg_namespace ln on ln.oid = l.relnamespace
where t.relkind in ('r', 'p')
order by 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some pages of one table of production: of `relation`, which is a partition or the table.

    From `first_page` up to, not with, `end_page`; None means to the end. Its rows may have the
    ordinals from `first_ordinal` on, which no other piece of the copy uses.
    """

    table: TableName
    relation: TableName
    first_page: int
    end_page: int | None
    pages: int
    first_ordinal: int


def pieces_of(
    connection: Connection, tables: Collection[TableName], piece_bytes: int = PIECE_BYTES
) -> tuple[Piece, ...]:
    """Every page of every one of these tables in exactly one piece; at least one for each table."""
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('block_size')::int")
        (page_bytes,) = cursor.fetchone() or (0,)
        cursor.execute(_LEAVES)
        leaves = [
            (TableName(schema, name), TableName(*leaf), int(pages))
            for schema, name, *leaf, pages in cursor.fetchall()
        ]
    wanted = [leaf for leaf in leaves if leaf[0] in tables]
    # A partitioned table may have no partitions: then it has no rows, and that is to be landed.
    empty = [(table, table, 0) for table in sorted(set(tables) - {leaf[0] for leaf in wanted})]
    return tuple(divided([*wanted, *empty], page_bytes, max(1, piece_bytes // page_bytes)))


def divided(
    leaves: Iterable[tuple[TableName, TableName, int]], page_bytes: int, piece_pages: int
) -> Iterator[Piece]:
    """These relations (table, relation, pages) in pieces of at most so many pages; pure.

    CopyFailed if they have more pages than there are ordinals for.
    """
    # A row has at least a line pointer (4 bytes) and a tuple header (24), so this many never fit.
    rows_of_page = page_bytes // 28 + 1
    ordinal = 0
    for table, relation, pages in leaves:
        for first in range(0, max(pages, 1), piece_pages):
            is_last = first + piece_pages >= pages
            held = pages - first if is_last else piece_pages
            yield Piece(table, relation, first, None if is_last else first + held, held, ordinal)
            ordinal += held * rows_of_page
            if ordinal > MOST_ORDINALS:
                raise CopyFailed(
                    what=f"The copy is too large at {relation}: its rows cannot be numbered.",
                    why="Two rows with one number would be taken for one; nothing was landed.",
                    next="List fewer tables in replica.yaml and copy the others with "
                    "`analytics-replica resync`.",
                )
