"""Tables drawn as text, so that a test's data is visible in it.

Here: reading a drawing, and showing a real table in the same form. Not here: making batches of
drawings (landed.py).

A drawing has a line of column names and a line for each row. An empty cell is NULL, `''` the empty
text, `~` a value that production did not log; anything else is the value as PostgreSQL prints it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.tables import Column, TableName
from analytics_replica.postgres.types import arrow_type
from analytics_replica_tests.support.servers import Database

UNCHANGED = "~"

_OIDS = {
    "boolean": 16,
    "bytea": 17,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "text": 25,
    "json": 114,
    "xml": 142,
    "point": 600,
    "real": 700,
    "double precision": 701,
    "inet": 869,
    "integer[]": 1007,
    "character": 1042,
    "character varying": 1043,
    "date": 1082,
    "time without time zone": 1083,
    "timestamp without time zone": 1114,
    "timestamp with time zone": 1184,
    "interval": 1186,
    "numeric": 1700,
    "uuid": 2950,
    "jsonb": 3802,
    "shop.mood": 99999,
}

Row = dict[str, str | None]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A table of production: its name and its columns, `{"id": "bigint key", "city": "text"}`."""

    name: str
    columns: Mapping[str, str]
    treatments: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> TableName:
        """The table's name in parts."""
        return TableName.parse(self.name)

    def landed(self) -> tuple[LandedColumn, ...]:
        """The columns as a manifest describes them, nothing counted yet."""
        described = (_column(name, kind) for name, kind in self.columns.items())
        return tuple(
            LandedColumn(c, self.treatments.get(c.name, "keep"), arrow_type(c).staging)
            for c in described
        )


def drawn(text: str) -> list[Row]:
    """The rows of a drawing."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = [cell.strip() for cell in lines[0].split("|")]
    return [
        dict(zip(header, (_cell(c) for c in line.split("|")), strict=True)) for line in lines[1:]
    ]


def shown(database: Database, table: str) -> list[tuple[str | None, ...]]:
    """The table's rows as texts, without our own columns, in one fixed order."""
    with database.session() as cursor:
        cursor.execute("set extra_float_digits = 3; set timezone = 'UTC'")
        cursor.execute(f"select * from {table} limit 0")
        names = [c.name for c in cursor.description if not c.name.startswith("_replica_")]
        quoted = ['"' + name.replace('"', '""') + '"' for name in names]
        # format prints as production's log does; a cast to text would print booleans in words.
        texts = ", ".join(f"case when {c} is not null then format('%s', {c}) end" for c in quoted)
        cursor.execute(f"select {texts} from {table}")
        return sorted((tuple(row) for row in cursor.fetchall()), key=_as_printed)


def table(text: str) -> list[tuple[str | None, ...]]:
    """A drawing as `shown` gives a table."""
    return sorted((tuple(row.values()) for row in drawn(text)), key=_as_printed)


def _as_printed(row: tuple[str | None, ...]) -> list[tuple[bool, str]]:
    return [(cell is not None, cell or "") for cell in row]


def _cell(text: str) -> str | None:
    text = text.strip()
    return {"": None, "''": ""}.get(text, text)


def _column(name: str, kind: str) -> Column:
    type_name = kind.removesuffix(" key")
    base = re.sub(r"\(.*\)", "", type_name)
    numbers = [int(n) for n in re.findall(r"\d+", type_name.partition("(")[2])]
    modifier = -1
    if numbers:
        modifier = (numbers[0] << 16 | numbers[1]) + 4 if base == "numeric" else numbers[0] + 4
    is_key = kind.endswith(" key")
    return Column(name, _OIDS[base], modifier, type_name, key=is_key, nullable=not is_key)
