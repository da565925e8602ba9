"""Production's user types as staging has them: which column gets which, under which name.

Here: spelling the type of a kept column, how its values travel, and which texts of an enum's labels
are of before it was renamed. Pure. Not here: making and altering the types (type_changes.py).

A column gets its real type where its rows come from a copy that brought definitions; one that is
text in staging from an older release stays text until its table is copied again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from analytics_replica.domain.batches import BatchKind, LandedColumn, LandedFile
from analytics_replica.domain.definitions import Label, TypeKind, UserType
from analytics_replica.domain.lsn import ZERO, Lsn
from analytics_replica.domain.tables import Column, TableName
from analytics_replica.masking.treatments import Kind
from analytics_replica.postgres.identifiers import MAX_IDENTIFIER_BYTES, type_name, user_type
from analytics_replica.postgres.type_names import type_name as name_of
from analytics_replica.postgres.types import arrow_type, why_not_kept
from analytics_replica.staging.ledger import AppliedTable
from analytics_replica.staging.windows import Part, Window

TEXT: Final = "text"


def types_schema(staging_schema: str) -> str:
    """The schema that production's types are made in."""
    return shortened(f"{staging_schema}_types")


def shortened(name: str, *, of: str = "") -> str:
    """The name, with a digest of it (and of `of`) in place of what PostgreSQL would cut off."""
    if len(name.encode()) <= MAX_IDENTIFIER_BYTES and not of:
        return name
    mark = "~" + hashlib.sha256(f"{name}\0{of}".encode()).hexdigest()[:8]
    kept = name.encode()[: MAX_IDENTIFIER_BYTES - len(mark)].decode(errors="ignore")
    return kept + mark


@dataclass(frozen=True)
class UserTypes:
    """The types that definitions know, by OID, and what they are called in staging's schema.

    `named` has the type's name in the schema. `copies` are the batches with definitions that a
    table's rows may come from.
    """

    schema: str
    types: Mapping[int, UserType] = field(default_factory=dict)
    named: Mapping[int, str] = field(default_factory=dict)
    copies: frozenset[Lsn] = frozenset()

    def spelled(self, oid: int, modifier: int = -1) -> str | None:
        """The type in staging as format_type prints it; None if staging has it as text only."""
        described = self.types.get(oid)
        if described is None:
            return _built_in(oid, modifier)
        element = self.spelled(*described.of) if described.kind is not TypeKind.ENUM else ""
        if element is None:
            return None
        if described.kind is TypeKind.ARRAY:
            return f"{element}[]"
        return user_type(TableName(self.schema, self.named[oid]))

    def wire(self, oid: int, modifier: int = -1) -> str | None:
        """The type of PostgreSQL whose binary form this one receives; None if it has its own."""
        described = self.types.get(oid)
        if described is None:
            return _built_in(oid, modifier)
        match described.kind:
            case TypeKind.ENUM:
                return TEXT
            case TypeKind.DOMAIN:
                return self.wire(*described.of)
            case _:
                return None

    def enum(self, oid: int) -> UserType | None:
        """The enum whose labels a column of this type holds, one or an array; None if none."""
        described = self.types.get(oid)
        if described is None or described.kind is TypeKind.ENUM:
            return described
        return None if described.kind is TypeKind.RANGE else self.enum(described.of[0])

    def used_by(self, oid: int) -> Iterator[UserType]:
        """The types that must exist for this one, those that others are made of first."""
        described = self.types.get(oid)
        if described is None or self.spelled(oid) is None:
            return
        if described.kind is not TypeKind.ENUM:
            yield from self.used_by(described.of[0])
        if described.kind is not TypeKind.ARRAY:
            yield described

    def typed(self, window: Window, known: AppliedTable | None) -> Window:
        """The window with the types that its kept columns have in staging."""
        text = self._stays_text(window, known)
        return replace(
            window,
            parts=tuple(replace(p, file=self._typed(p.file, text)) for p in window.parts),
        )

    def _stays_text(self, window: Window, known: AppliedTable | None) -> frozenset[str] | None:
        """The columns that are text in staging already; None: all of them."""
        if window.copied_at is not None:
            return frozenset() if window.copied_at in self.copies else None
        columns = known.columns if known is not None else ()
        return frozenset(c.name for c in columns if c.staging_type == TEXT)

    def _typed(self, file: LandedFile, text: frozenset[str] | None) -> LandedFile:
        if text is None:
            return file
        return replace(file, columns=tuple(self._column(c, text) for c in file.columns))

    def _column(self, landed: LandedColumn, text: frozenset[str]) -> LandedColumn:
        oid = landed.column.type_oid
        own = landed.treatment == Kind.KEEP and oid in self.types
        if not own or landed.column.name in text:
            return landed
        return replace(landed, staging_type=self.spelled(oid) or landed.staging_type)


def _built_in(oid: int, modifier: int) -> str | None:
    """The name of a type that every server has and can read; None for all others."""
    column = Column("", oid, modifier, name_of(oid, modifier))
    kind = arrow_type(column).staging
    if why_not_kept(column) is not None or (kind == TEXT and name_of(oid, -1) != TEXT):
        return None
    return type_name(kind).text


@dataclass(frozen=True, slots=True)
class OldTexts:
    """Texts of before a label was renamed that a window's files may hold.

    `now` is what each is called now; `doubtful` are texts that more than one label had.
    """

    now: tuple[tuple[str, str], ...]
    doubtful: frozenset[str]


def old_texts(enum: UserType, window: Window) -> OldTexts:
    """The texts of this enum's labels that are of before files of the window. Pure."""
    had: dict[str, set[str]] = {}
    for label in enum.labels:
        for text in _former(label, window):
            had.setdefault(text, set()).add(label.text)
    present = {label.text for label in enum.labels}
    doubtful = frozenset(text for text, names in had.items() if len(names) > 1 or text in present)
    now = tuple((text, *names) for text, names in sorted(had.items()) if text not in doubtful)
    return OldTexts(tuple((text, name) for text, name in now), doubtful)


def _former(label: Label, window: Window) -> Sequence[str]:
    return [
        text
        for text, until in label.former
        if any(_may_hold(part, window, Lsn.parse(until)) for part in window.parts)
    ]


def _may_hold(part: Part, window: Window, until: Lsn) -> bool:
    if part.kind is BatchKind.STREAM:
        return until > part.from_lsn
    # A base, whose rows keep the positions that they had, holds texts of any time.
    return window.floor == ZERO or until >= part.to_lsn
