"""Definitions: what staging wants to know of production's tables beyond their rows.

Here: comments, indexes and user types as the catalog describes them, frozen, and their JSON. Not
here: asking a catalog (source.catalog_definitions), what may leave production and where it is kept
(landing.definitions), what staging makes of them (staging). No value of a row is in them: no
default, no check, no predicate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from analytics_replica.domain.tables import TableName


class TypeKind(StrEnum):
    """What sort of type somebody created; PostgreSQL's letters, and `a` for an array of one."""

    ENUM = "e"
    DOMAIN = "d"
    RANGE = "r"
    ARRAY = "a"


@dataclass(frozen=True, slots=True)
class Label:
    """A value of an enum. It keeps its OID when it is renamed.

    `former` are the texts that it had before, each with the position where another was first seen.
    """

    oid: int
    text: str
    former: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that somebody created.

    `labels` are an enum's, in its order. `of` is the OID and the modifier of a domain's base, a
    range's subtype, an array's element.
    """

    oid: int
    name: TableName
    kind: TypeKind
    labels: tuple[Label, ...] = ()
    of: tuple[int, int] = (0, -1)


@dataclass(frozen=True, slots=True)
class IndexColumn:
    """A key column of an index, and its place in the order."""

    name: str
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """An index over plain columns with the default operators of their types."""

    name: str
    method: str
    columns: tuple[IndexColumn, ...]
    include: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that it reads."""
        return (*(column.name for column in self.columns), *self.include)


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column's type and comment; '' if it has none."""

    name: str
    type_oid: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """A table's comment, columns and indexes; `oid` stays the same when it is renamed."""

    table: TableName
    oid: int
    comment: str
    columns: tuple[ColumnDefinition, ...]
    indexes: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True)
class Definitions:
    """The definitions of some tables, and of the types that their columns use."""

    tables: tuple[TableDefinition, ...] = ()
    types: tuple[UserType, ...] = ()

    def to_json(self) -> bytes:
        """The definitions as JSON; equal ones give equal bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def of_json(cls, data: bytes | str) -> Definitions:
        """The definitions that `to_json` wrote; ValueError, KeyError or TypeError if it did not."""
        return cls.of_body(json.loads(data))

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> Definitions:
        """The definitions from their JSON form, read; KeyError or TypeError if it is not one."""
        return cls(
            tuple(_table(table) for table in body["tables"]),
            tuple(_type(described) for described in body["types"]),
        )


def _table(body: Mapping[str, Any]) -> TableDefinition:
    return TableDefinition(
        table=TableName(**body["table"]),
        oid=body["oid"],
        comment=body["comment"],
        columns=tuple(ColumnDefinition(**column) for column in body["columns"]),
        indexes=tuple(
            Index(
                index["name"],
                index["method"],
                tuple(IndexColumn(**column) for column in index["columns"]),
                tuple(index["include"]),
            )
            for index in body["indexes"]
        ),
    )


def _type(body: Mapping[str, Any]) -> UserType:
    oid, modifier = body["of"]
    return UserType(
        oid=body["oid"],
        name=TableName(**body["name"]),
        kind=TypeKind(body["kind"]),
        labels=tuple(
            Label(label["oid"], label["text"], tuple((t, at) for t, at in label["former"]))
            for label in body["labels"]
        ),
        of=(oid, modifier),
    )
