"""Tables and columns of production, as the log and the catalog describe them.

Here: names, column descriptions, identities. Not here: quoting (postgres.identifiers), what a type
becomes in Arrow and staging (postgres.types), what the policy does to a column (masking.policy).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, order=True, slots=True)
class TableName:
    """A table of production: schema and name exactly as the catalog spells them."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{_shown(self.schema)}.{_shown(self.name)}"

    @classmethod
    def parse(cls, text: str) -> TableName:
        """The table written as `schema.name`; either part may be in double quotes.

        ValueError if it has not exactly two parts.
        """
        parts = re.findall(r'"(?:[^"]|"")+"|[^".]+', text)
        if len(parts) != 2 or ".".join(parts) != text:
            raise ValueError(f"a table is written schema.name: {text!r}")
        schema, name = (p[1:-1].replace('""', '"') if p[0] == '"' else p for p in parts)
        return cls(schema, name)


class Identity(StrEnum):
    """What production logs of a row's old image (pg_class.relreplident)."""

    DEFAULT = "d"
    NOTHING = "n"
    FULL = "f"
    INDEX = "i"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of production.

    `type_name` is PostgreSQL's own spelling (`format_type`), for example `numeric(10,2)` or
    `shop."Mood"[]`. `type_modifier` is -1 if the type has none. `key` says whether the column is
    part of what identifies a row (primary key or replica identity index).
    """

    name: str
    type_oid: int
    type_modifier: int
    type_name: str
    key: bool = False
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table of production at one moment: its name, its columns in order, its identity.

    `oid` stays the same when the table is renamed, and not when it is made anew; 0 if unknown.
    """

    name: TableName
    columns: tuple[Column, ...]
    identity: Identity = Identity.DEFAULT
    oid: int = 0

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns that identify a row, in column order; empty for a keyless table."""
        return tuple(c for c in self.columns if c.key)

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Reference:
    """One column of a foreign key: `column` holds values of `to_column`."""

    table: TableName
    column: str
    to: TableName
    to_column: str


@dataclass(frozen=True, slots=True)
class Relations:
    """What is unique in tables (column by column of each index), and what refers to what."""

    unique: tuple[tuple[TableName, tuple[str, ...]], ...] = ()
    references: tuple[Reference, ...] = ()


def _shown(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'
