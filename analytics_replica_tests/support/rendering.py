"""Landed values as the texts that PostgreSQL prints: the rule of docs/reference/types.md, twice.

Here: the rule for readers with DuckDB and for readers with pyarrow, neither of which uses our own
code; and `printed`, which lets PostgreSQL print what only a type's own text form tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

import pyarrow as pa

from analytics_replica.domain.batches import EXACT_PREFIX
from analytics_replica_tests.support.servers import Database

Texts = list[str | None]


def duckdb_text(schema: pa.Schema, name: str) -> str:
    """The DuckDB expression for a landed column's text (TimeZone must be UTC)."""
    value = f'"{name}"::varchar'
    if pa.types.is_binary(schema.field(name).type):
        value = f"'\\x' || lower(hex(\"{name}\"))"
    exact = EXACT_PREFIX + name
    return f'coalesce("{exact}", {value})' if exact in schema.names else value


def pyarrow_texts(table: pa.Table, name: str) -> Texts:
    """A landed column's texts."""
    values = [_text(value) for value in table[name].to_pylist()]
    exact = EXACT_PREFIX + name
    if exact not in table.schema.names:
        return values
    exact_texts = table[exact].to_pylist()
    return [e if e is not None else v for e, v in zip(exact_texts, values, strict=True)]


def printed(database: Database, kind: str, texts: Sequence[str | None]) -> Texts:
    """The values as PostgreSQL prints them as this type."""
    rows = database.rows(
        f"select x::{kind}::text from unnest(%s::text[]) with ordinality as u (x, n) order by n",
        (list(texts),),
    )
    return [text for (text,) in rows]


def _text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"\\x{value.hex()}"
        case datetime():
            shown = value.replace(tzinfo=None).isoformat(" ")
            return _short(shown) + ("+00" if value.tzinfo else "")
        case time():
            return _short(value.isoformat())
        case float():
            return repr(value)
        case _:
            return f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _short(clock: str) -> str:
    # PostgreSQL prints no zeros behind the last digit of a fraction of a second.
    return clock.rstrip("0") if "." in clock else clock
