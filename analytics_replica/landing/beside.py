"""Beside: the same events under the next masking key, while keys are rotated.

Here: the seal of what lies beside, and which files of a batch come on top of a copy. Not here: the
rotation (rotation.py), one batch's files (batch.py).

A copy under the next key is made to a position S and becomes a batch when the stream is beyond S.
What committed in between is landed by then, under the old key; a token cannot be turned into
another key's. So during a rotation the events of every table with tokens are landed twice: in the
batch's files, and beside them under the next key. On top of the copy come those from beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, fields

from analytics_replica.domain.batches import BatchKind, LandedFile, Manifest
from analytics_replica.domain.tables import TableName
from analytics_replica.masking.key_versions import keys_named
from analytics_replica.masking.seal import TableSeal


@dataclass(frozen=True)
class BesideSeal(TableSeal):
    """A seal with the next key: its events are landed beside those of the table's own seal."""


def plain(seal: TableSeal) -> TableSeal:
    """The same seal as a table's own."""
    return TableSeal(**{field.name: getattr(seal, field.name) for field in fields(seal)})


def keys_in(files: Collection[LandedFile]) -> frozenset[str]:
    """The ids of the keys that made tokens in these files."""
    return keys_named(column.treatment for file in files for column in file.columns)


def on_top_of(copy: Manifest, batch: Manifest, table: TableName) -> list[LandedFile]:
    """The batch's files of the table that fit the copy: the plain ones, or those from beside."""
    own = _of(table, batch.files)
    wanted = {key_id for key_id, _ in copy.keys}
    if batch.sequence >= copy.sequence or not wanted or keys_in(own) <= wanted:
        return own
    beside = _of(table, batch.beside)
    return beside if beside and keys_in(beside) <= wanted else own


def sealed_otherwise(copy: Manifest, batches: Collection[Manifest]) -> TableName | None:
    """A table of the copy of which these batches hold changes that do not fit it; None if none.

    The batches are landed, and the copy is not. Judged by counting: beside must be every event.
    """
    wanted = {key_id for key_id, _ in copy.keys}
    for batch in batches:
        if batch.kind is BatchKind.COPY or batch.to_lsn <= copy.to_lsn:
            continue
        own, beside = _rows(batch.files), _rows(batch.beside)
        for table in sorted({file.table for file in copy.files}):
            if keys_in(_of(table, batch.files)) <= wanted:
                continue
            fit = keys_in(_of(table, batch.beside)) <= wanted
            if not fit or own[table] != beside[table]:
                return table
    return None


def _of(table: TableName, files: Collection[LandedFile]) -> list[LandedFile]:
    return [file for file in files if file.table == table]


def _rows(files: Collection[LandedFile]) -> Counter[TableName]:
    rows: Counter[TableName] = Counter()
    for file in files:
        rows[file.table] += file.rows
    return rows
