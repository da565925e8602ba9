"""The shape of a table over a window: its columns by name, from all files, newest last word.

Here: joining the column lists of a window's files, and what the ledger remembers of them. Not
here: the table in the warehouse (ddl.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from analytics_replica.domain.batches import LandedColumn, LandedFile
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.staging.ledger import AppliedColumn, AppliedTable
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.widening import require_widening
from analytics_replica.staging.windows import Part, Window


@dataclass(frozen=True, slots=True)
class ShapeColumn:
    """A column of the window.

    `exact` and `unchanged` say whether some file uses the side column; `comes` whether the newest
    file still has the column. Of a user type `wire` is the type whose binary form it receives, and
    `renamed` are texts of an enum's labels that have another name now, with that name.
    """

    name: str
    staging_type: str
    treatment: str
    key: bool
    exact: bool
    unchanged: bool
    comes: bool
    wire: str = ""
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Shape:
    """The columns of a table over a window: as the newest file has them, then the vanished."""

    table: TableName
    columns: tuple[ShapeColumn, ...]

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The names of the columns that identify a row; empty for a keyless table."""
        return tuple(c.name for c in self.columns if c.key)

    def index(self, name: str) -> int:
        """The position of the column called `name`."""
        return next(i for i, c in enumerate(self.columns) if c.name == name)


def shape_of(window: Window) -> Shape:
    """The shape of these files together.

    ColumnNarrowed if a type changed in a way that may lose values; TableQuarantined if the key
    changed: then events before and after it speak of different rows.
    """
    table, files = window.table, window.files
    columns: dict[str, ShapeColumn] = {}
    for before, file in zip((files[0], *files), files, strict=False):
        _require_same_key(table, files[0], file)
        _require_none_returned(table, columns, before, file)
        for landed in file.columns:
            name = landed.column.name
            columns[name] = _joined(table, columns.get(name), landed)
    newest = [landed.column.name for landed in files[-1].columns]
    vanished = [replace(c, comes=False) for n, c in columns.items() if n not in newest]
    return Shape(table, (*(columns[name] for name in newest), *vanished))


def remembered(window: Window, known: AppliedTable | None) -> tuple[AppliedColumn, ...]:
    """The newest file's columns for the ledger, each with the position that it comes from.

    Without `known`, or after a copy, every row has the columns of the window's first file.
    """
    parts = list(window.parts)
    if known is None or window.copied_at is not None:
        columns = _columns(parts.pop(0), {}, since=None)
    else:
        columns = {column.name: column for column in known.columns}
    for part in parts:
        columns = _columns(part, columns, since=part.from_lsn)
    return tuple(columns.values())


def _columns(
    part: Part, before: Mapping[str, AppliedColumn], since: Lsn | None
) -> dict[str, AppliedColumn]:
    found = {}
    for landed in part.file.columns:
        name, treatment = landed.column.name, landed.treatment
        old = before.get(name)
        kind = landed.staging_type
        if old is not None and old.treatment == treatment and old.staging_type != kind:
            found[name] = replace(old, staging_type=kind, since=since, was=old.staging_type)
        elif old is not None and old.treatment == treatment:
            found[name] = old
        else:
            earlier = old.treatment if old else None
            found[name] = AppliedColumn(name, kind, treatment, since, earlier)
    return found


def _joined(table: TableName, before: ShapeColumn | None, landed: LandedColumn) -> ShapeColumn:
    name = landed.column.name
    if before is not None:
        require_widening(table, name, before.staging_type, landed.staging_type)
    return ShapeColumn(
        name=name,
        staging_type=landed.staging_type,
        treatment=landed.treatment,
        key=landed.column.key,
        exact=landed.exact_rows > 0 or (before is not None and before.exact),
        unchanged=landed.unchanged_rows > 0 or (before is not None and before.unchanged),
        comes=True,
    )


def _require_none_returned(
    table: TableName, columns: Mapping[str, ShapeColumn], before: LandedFile, file: LandedFile
) -> None:
    came = {c.column.name for c in before.columns}
    returned = {c.column.name for c in file.columns} & columns.keys() - came
    if returned:
        raise quarantined(
            table,
            f"{', '.join(sorted(returned))} did not come for a time and comes again: what older "
            "rows have in it now, the log does not say",
        )


def _require_same_key(table: TableName, first: LandedFile, file: LandedFile) -> None:
    old, new = ({c.column.name for c in f.key} for f in (first, file))
    if old != new:
        raise quarantined(table, f"its key changed from {_shown(old)} to {_shown(new)}")


def _shown(names: set[str]) -> str:
    return f"({', '.join(sorted(names))})" if names else "none"
