"""The one type table: PostgreSQL → Arrow → staging.

Here: which Arrow type holds a column, which values it cannot hold, and the conversion of
PostgreSQL's text form to Arrow, whole columns at a time. Not here: masks (masking.strategies), SQL.

PostgreSQL's text form is taken under the settings of `connect.STABLE_TEXT`. A type that is not in
the table is landed as its exact text. Values that the Arrow type cannot hold (numeric NaN,
infinities, BC dates, years after 9999, 24:00:00) come back as text in a second array.
docs/reference/types.md says all of this for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.domain.tables import Column
from analytics_replica.errors import StreamInvalid
from analytics_replica.postgres.type_names import is_known

_OF_THE_CATALOG: Final = frozenset(
    {24, 1008, 1033, 1034, *range(2202, 2212), 3734, 3735, 3769, 3770, 4089, 4090}
    | {4096, 4097, 4191, 4192}
)
"""regclass and its kin, aclitem, and their arrays."""

_ONLY_PRINTED: Final = frozenset({194, 3361, 3402, 3642, 3644, 4600, 4601, 5017})
"""Types whose input function refuses every text (pg_node_tree, pg_ndistinct, gtsvector, …)."""

MAX_DECIMAL_DIGITS: Final = 38
"""What decimal128 holds, and what DuckDB's DECIMAL holds."""


@dataclass(frozen=True, slots=True)
class ArrowType:
    """How a column is held in Arrow.

    `staging` is the PostgreSQL type in staging. `holds` is a pattern of the texts that the Arrow
    type can hold; None if it holds every value of the PostgreSQL type.
    """

    arrow: pa.DataType
    staging: str
    holds: str | None = None


_DATE = r"^\d{4}-\d{2}-\d{2}$"
_TIME = r"^(?:[01]\d|2[0-3]):\d{2}:\d{2}(?:\.\d{1,6})?$"
_TIMESTAMP = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d{1,6})?$"
_TIMESTAMPTZ = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d{1,6})?\+00$"
_DIGITS = r"^-?[0-9.]+$"

_BY_OID: Final[dict[int, ArrowType]] = {
    16: ArrowType(pa.bool_(), "boolean"),
    17: ArrowType(pa.binary(), "bytea"),
    20: ArrowType(pa.int64(), "bigint"),
    21: ArrowType(pa.int16(), "smallint"),
    23: ArrowType(pa.int32(), "integer"),
    26: ArrowType(pa.int64(), "oid"),
    700: ArrowType(pa.float32(), "real"),
    701: ArrowType(pa.float64(), "double precision"),
    1082: ArrowType(pa.date32(), "date", _DATE),
    1083: ArrowType(pa.time64("us"), "time without time zone", _TIME),
    1114: ArrowType(pa.timestamp("us"), "timestamp without time zone", _TIMESTAMP),
    1184: ArrowType(pa.timestamp("us", "UTC"), "timestamp with time zone", _TIMESTAMPTZ),
}
_NUMERIC: Final = 1700


@lru_cache(maxsize=4096)
def arrow_type(column: Column) -> ArrowType:
    """How this column is held in Arrow and staging; exact text if the table has nothing better.

    Types that somebody created (enums, domains, composites) are text in staging, as PostgreSQL
    prints them; so are their arrays, and built-in types that this table does not know or that no
    server can read back.
    """
    if column.type_oid in _BY_OID:
        known = _BY_OID[column.type_oid]
        # The modifier (varchar's length, timestamp's precision) belongs to staging's type.
        return ArrowType(known.arrow, column.type_name or known.staging, known.holds)
    if column.type_oid == _NUMERIC and column.type_modifier >= 0:
        precision = ((column.type_modifier - 4) >> 16) & 0xFFFF
        scale = ((column.type_modifier - 4) & 0x7FF) ^ 1024
        scale -= 1024
        if precision <= MAX_DECIMAL_DIGITS and 0 <= scale <= precision:
            return ArrowType(pa.decimal128(precision, scale), column.type_name, _DIGITS)
    if not is_known(column.type_oid) or column.type_oid in _ONLY_PRINTED:
        return ArrowType(pa.string(), "text")
    return ArrowType(pa.string(), column.type_name)


def why_not_kept(column: Column) -> str | None:
    """Why values of this type cannot be kept; None if they can, as for almost all types.

    The text of a regclass is another object's name: when that is renamed, production prints
    another text for rows of which the log says nothing.
    """
    if column.type_oid not in _OF_THE_CATALOG:
        return None
    return f"values of type {column.type_name} are names in production's catalog"


def may_be_unchanged(column: Column) -> bool:
    """True if production may leave the value out of an update (only stored out of line: TOAST)."""
    known = _BY_OID.get(column.type_oid)
    return known is None or pa.types.is_binary(known.arrow)


def from_text(column: Column, texts: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """The column's values in its Arrow type, and the exact texts of those that it cannot hold.

    Both arrays are as long as `texts`; the second is None if the Arrow type held everything. NULL
    stays NULL in both. StreamInvalid, naming the column, if PostgreSQL printed something that the
    type does not allow.
    """
    target = arrow_type(column)
    plain = _plain(texts, target.arrow)
    if plain is not None:
        return plain, None
    exact = None
    if target.holds is not None:
        unheld = pc.invert(pc.match_substring_regex(texts, target.holds))
        if pc.any(unheld).as_py():
            exact = pc.if_else(unheld, texts, None)
            texts = pc.if_else(unheld, None, texts)
    try:
        return _convert(texts, target.arrow), exact
    except (pa.ArrowInvalid, ValueError):
        # Arrow's message quotes the value, so it goes no further.
        raise StreamInvalid(
            what=f"Column {column.name} has a text that is not a {column.type_name}.",
            why="It cannot be stored exactly, so its batch was not landed.",
            next="Report this with the column's type and the server's version.",
        ) from None


def _plain(texts: pa.Array, target: pa.DataType) -> pa.Array | None:
    """The values if all of them are plain and the type has a compiled loop, else None."""
    if not pa.types.is_temporal(target) and not pa.types.is_decimal(target):
        return None
    from analytics_replica.postgres import plain  # noqa: PLC0415 - numba takes 0.7 s to import

    if pa.types.is_date(target):
        return plain.dates(texts)
    if pa.types.is_timestamp(target):
        return plain.timestamps(texts, target)
    return plain.decimals(texts, target) if pa.types.is_decimal(target) else None


def _convert(texts: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(target):
        return pc.equal(texts, "t")
    if pa.types.is_binary(target):
        return _to_binary(texts)
    if pa.types.is_timestamp(target) and target.tz is not None:
        # Under timezone=UTC every text ends in +00, which `holds` has checked.
        plain = pc.utf8_slice_codeunits(texts, 0, -3)
        return plain.cast(pa.timestamp("us")).cast(target)
    if pa.types.is_time(target):
        # Arrow reads no bare time of day, so the text becomes one on the first day of its epoch.
        dated = pc.binary_join_element_wise("1970-01-01", texts, " ")
        return dated.cast(pa.timestamp("us")).cast(target)
    return texts.cast(target)


def _to_binary(texts: pa.Array) -> pa.Array:
    r"""Decodes `\x6869` for all rows at once: hex digits to nibbles, nibbles to bytes."""
    texts = pc.utf8_slice_codeunits(texts, 2, None)
    data = np.frombuffer(pc.binary_join(_as_list(texts), "")[0].as_buffer(), dtype=np.uint8)
    nibbles = np.where(data >= ord("a"), data - (ord("a") - 10), data - ord("0"))
    raw = ((nibbles[0::2] << 4) | nibbles[1::2]).astype(np.uint8)
    lengths = pc.fill_null(pc.divide(pc.binary_length(texts), 2), 0).to_numpy()
    offsets = np.zeros(len(texts) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    joined = pa.Array.from_buffers(
        pa.binary(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(raw)]
    )
    return pc.if_else(pc.is_null(texts), None, joined)


def _as_list(texts: pa.Array) -> pa.Array:
    present = pc.fill_null(texts, "")
    return pa.ListArray.from_arrays(pa.array([0, len(present)], pa.int32()), present)
