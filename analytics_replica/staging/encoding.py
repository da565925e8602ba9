"""How a column travels from a landed file into the warehouse by binary COPY.

Here: which types the warehouse receives just as DuckDB sends them, which need other bytes, and
which must go as text and be cast. Not here: reading and loading (compact.py, warehouse.py).

COPY's binary form is each type's `recv` function. Measured 2026-11 for 900k rows: loading into the
table itself 3.5 s; into a temporary table of text with a cast from there 6.3 s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analytics_replica.postgres.identifiers import Sql, compose, literal, type_name

_MODIFIER: Final = re.compile(r"\([\d,-]+\)")

_SENT_AS_IS: Final = {
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "numeric": "DECIMAL",
    "text": "VARCHAR",
    "character varying": "VARCHAR",
    "character": "VARCHAR",
    "json": "VARCHAR",
    "bytea": "BLOB",
    "date": "DATE",
    "time without time zone": "TIME",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
}
"""PostgreSQL's type, without modifier, and DuckDB's that it receives unchanged."""

_WIDER: Final = {
    "integer": ("SMALLINT",),
    "bigint": ("SMALLINT", "INTEGER"),
    "double precision": ("FLOAT",),
}
"""What older files may hold of a column that was widened since."""

_AS_BYTES: Final = {
    # uuid_recv takes the 16 bytes; jsonb_recv a version byte and then text.
    "uuid": "unhex(replace({value}, '-', ''))",
    "jsonb": "'\\x01'::blob || encode({value})",
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one column travels.

    `sent` is the template of the DuckDB expression that is sent. `loaded` is the type of the
    column that receives it; where that is text and `staging` is not, the value must be cast.
    """

    staging: Sql
    loaded: Sql
    sent: str
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def direct(self) -> bool:
        """True if staging's own column receives what is sent."""
        return self.loaded == self.staging

    def send(self, value: Sql) -> Sql:
        """The DuckDB expression that sends this value."""
        return compose(self.sent, value=value)

    def receive(self, loaded: Sql) -> Sql:
        """The PostgreSQL expression that makes staging's value of the loaded one."""
        if self.direct:
            return loaded
        if self.renamed:
            loaded = compose("{loaded}::text[]", loaded=loaded)
        for old, new in self.renamed:
            loaded = compose(
                "array_replace({loaded}, {old}, {new})",
                loaded=loaded,
                old=literal(old),
                new=literal(new),
            )
        return compose("{loaded}::{type}", loaded=loaded, type=self.staging)

    def give_back(self, held: Sql) -> Sql:
        """The PostgreSQL expression that makes the loaded form of a value that staging holds."""
        if self.direct:
            return held
        return compose("{held}::text", held=held)


def encoding_of(
    staging_type: str,
    landed_as: str,
    wire: str = "",
    renamed: Sequence[tuple[str, str]] = (),
) -> Encoding:
    """How a column of this staging type travels if DuckDB reads it as `landed_as`.

    `wire` is the type whose binary form a user type receives: an enum its label as text, a domain
    that of its base. Without one, `renamed` are elements of arrays that have another name now.
    """
    staging = type_name(staging_type)
    if wire:
        inner = encoding_of(wire, landed_as)
        return Encoding(staging, staging if inner.direct else inner.loaded, inner.sent)
    base = _MODIFIER.sub("", staging_type)
    landed = landed_as.split("(", maxsplit=1)[0]
    if _SENT_AS_IS.get(base) == landed:
        return Encoding(staging, staging, "{value}")
    if landed in _WIDER.get(base, ()):
        return Encoding(staging, staging, f"cast({{value}} as {_SENT_AS_IS[base]})")
    if base in _AS_BYTES and landed == "VARCHAR":
        return Encoding(staging, staging, _AS_BYTES[base])
    sent = "{value}" if landed == "VARCHAR" else "cast({value} as varchar)"
    return Encoding(staging, type_name("text"), sent, tuple(renamed))
