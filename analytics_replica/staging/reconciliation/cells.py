"""How one value becomes one 64-bit number, the same in PostgreSQL and here.

Here: the function for each of staging's types, as an SQL expression and over Arrow arrays. Not
here: the compiled loops (lookup3.py), what is summed (sums.py).

A cell's number depends on its value and on a seed, which is its row's key: so a value that changes
its row changes the sum. What has no function of its own is hashed as the text that PostgreSQL
prints. numeric's own function forgets the sign, so the sign is hashed with it; that of float8 takes
-0 for 0, so zeros are hashed as texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, table, type_name
from analytics_replica.staging.reconciliation import lookup3
from analytics_replica.staging.reconciliation.lookup3 import Flags, Hashes, Ints

TO_POSTGRES_DAYS: Final = 10_957
"""From Arrow's epoch (1970) to PostgreSQL's (2000)."""

TO_POSTGRES_US: Final = TO_POSTGRES_DAYS * 86_400_000_000

_MODIFIER: Final = re.compile(r"\((\d+)(?:,(\d+))?\)")
_MOST_DIGITS: Final = 18
_MOST_SCALE: Final = 15
"""Decimals whose parts fit in 64 bits; longer ones are hashed as texts."""


class Kind(Enum):
    """What a value is hashed as."""

    WORD = "word"
    LONG = "long"
    BOOLEAN = "boolean"
    DOUBLE = "double"
    DECIMAL = "decimal"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    UUID = "uuid"
    TEXT = "text"
    PADDED = "padded"
    PRINTED = "printed"


_KINDS: Final = {
    "smallint": Kind.WORD,
    "integer": Kind.WORD,
    "bigint": Kind.LONG,
    "boolean": Kind.BOOLEAN,
    "real": Kind.DOUBLE,
    "double precision": Kind.DOUBLE,
    "date": Kind.DATE,
    "time without time zone": Kind.TIME,
    "timestamp without time zone": Kind.TIMESTAMP,
    "timestamp with time zone": Kind.TIMESTAMP,
    "uuid": Kind.UUID,
    "text": Kind.TEXT,
    "character varying": Kind.TEXT,
    "character": Kind.PADDED,
    "bpchar": Kind.PADDED,
}

_TEXT: Final = 'hashtextextended({value} collate "C", {seed})'

_EXPRESSIONS: Final = {
    "smallint": "hashint2extended({value}, {seed})",
    "integer": "hashint4extended({value}, {seed})",
    # hashint8 folds 64 bits to 32; in the seed all of them count.
    "bigint": "hashint8extended({value}, {seed} # {value})",
    "boolean": "hashint4extended({value}::integer, {seed})",
    "real": 'case when {value} = 0 then hashtextextended({value}::text collate "C", {seed}) '
    "else hashfloat4extended({value}, {seed}) end",
    "double precision": "case when {value} = 0 then "
    'hashtextextended({value}::text collate "C", {seed}) '
    "else hashfloat8extended({value}, {seed}) end",
    "date": "case when isfinite({value}) then "
    "hashint4extended({value} - date '2000-01-01', {seed}) "
    'else hashtextextended({value}::text collate "C", {seed}) end',
    "time without time zone": "time_hash_extended({value}, {seed})",
    "timestamp without time zone": "timestamp_hash_extended({value}, {seed})",
    "uuid": "uuid_hash_extended({value}, {seed})",
    "text": _TEXT,
    "character varying": _TEXT,
    # Blanks at the end belong to the type, not to the value; the cast drops them.
    "character": 'hashtextextended({value}::text collate "C", {seed})',
    "bpchar": 'hashtextextended({value}::text collate "C", {seed})',
}

_DECIMAL: Final = "hashint4extended(({value} < 0)::integer, hash_numeric_extended({value}, {seed}))"

_TIMESTAMPTZ: Final = "timestamptz_hash_extended({value}, {seed})"
_TIMESTAMPTZ_BEFORE_18: Final = "timestamp_hash_extended({value}::timestamp, {seed})"


@dataclass(frozen=True)
class HeldColumn:
    """A column as the warehouse has it.

    `type` is PostgreSQL's spelling; `own_type` names it where that is not a type of pg_catalog;
    `output` is the function that prints it; `server` the warehouse's version.
    """

    name: str
    type: str
    own_type: TableName
    output: TableName
    server: int

    @cached_property
    def base(self) -> str:
        """The type without its modifier."""
        return _MODIFIER.sub("", self.type)

    @cached_property
    def kind(self) -> Kind:
        """What its values are hashed as."""
        if self.scale is not None:
            return Kind.DECIMAL
        return _KINDS.get(self.base, Kind.PRINTED)

    @cached_property
    def scale(self) -> int | None:
        """The digits behind the point of a decimal that is hashed as such."""
        found = _MODIFIER.search(self.type) if self.base == "numeric" else None
        if found is None:
            return None
        precision, scale = int(found[1]), int(found[2] or 0)
        fits = precision <= _MOST_DIGITS and scale <= min(precision, _MOST_SCALE)
        return scale if fits else None

    @cached_property
    def spelled(self) -> Sql:
        """The type as a cast names it."""
        if self.own_type.schema == "pg_catalog":
            return type_name(self.type)
        return table(self.own_type)

    def printed(self, value: Sql) -> Sql:
        """The SQL text of this value as PostgreSQL sends it to a client."""
        return compose("textin({out}({value}))", out=table(self.output), value=value)

    def hashed(self, value: Sql, seed: Sql) -> Sql:
        """The SQL expression of this value's number under the seed; NULL for NULL."""
        if self.kind is Kind.DECIMAL:
            return compose(_DECIMAL, value=value, seed=seed)
        if self.base == "timestamp with time zone":
            template = _TIMESTAMPTZ if self.server >= 180_000 else _TIMESTAMPTZ_BEFORE_18
            return compose(template, value=value, seed=seed)
        template = _EXPRESSIONS.get(self.base, "")
        if not template:
            return compose(_TEXT, value=self.printed(value), seed=seed)
        return compose(template, value=value, seed=seed)

    def takes(self, given: pa.DataType) -> bool:
        """True if `hashes` takes an array of this type."""
        return _TAKES[self.kind](given)

    def hashes(self, values: pa.Array, seeds: Hashes) -> Hashes | None:
        """The numbers of these values, 0 for NULL; None if PostgreSQL must read them.

        For types without a function of their own `values` are the texts that PostgreSQL prints.
        """
        out = np.empty(len(values), np.uint64)
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        if self.kind in _OF_LETTERS:
            return self._of_letters(values, valid, seeds, out)
        if self.kind is Kind.DOUBLE:
            doubles = pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy()
            lookup3.of_doubles(doubles, valid, seeds, out)
        elif self.kind is Kind.DECIMAL:
            scaled = _scaled(values, self.scale or 0)
            lookup3.of_decimals(scaled, self.scale or 0, valid, seeds, out)
        elif self.kind in {Kind.WORD, Kind.BOOLEAN, Kind.DATE}:
            lookup3.of_words(_numbers(self.kind, values), valid, seeds, out)
        else:
            longs = _numbers(self.kind, values)
            if self.kind is Kind.LONG:
                seeds = seeds ^ longs.view(np.uint64)
            lookup3.of_longs(longs, valid, seeds, out)
        return out

    def _of_letters(
        self, values: pa.Array, valid: Flags, seeds: Hashes, out: Hashes
    ) -> Hashes | None:
        if self.kind is Kind.PADDED:
            values = pc.utf8_rtrim(values, " ")
        data, offsets = _texts(values)
        if self.kind is not Kind.UUID:
            lookup3.of_texts(data, offsets, valid, seeds, out)
        elif not lookup3.of_uuids(data, offsets, valid, seeds, out):
            return None
        return out


_OF_LETTERS: Final = frozenset({Kind.UUID, Kind.TEXT, Kind.PADDED, Kind.PRINTED})


def _is_text(given: pa.DataType) -> bool:
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given))


_TAKES: Final[dict[Kind, Callable[[Any], bool]]] = {
    Kind.WORD: pa.types.is_integer,
    Kind.LONG: pa.types.is_integer,
    Kind.BOOLEAN: pa.types.is_boolean,
    Kind.DOUBLE: pa.types.is_floating,
    Kind.DECIMAL: pa.types.is_decimal,
    Kind.DATE: pa.types.is_date32,
    Kind.TIME: pa.types.is_time64,
    Kind.TIMESTAMP: pa.types.is_timestamp,
    Kind.UUID: _is_text,
    Kind.TEXT: _is_text,
    Kind.PADDED: _is_text,
    Kind.PRINTED: _is_text,
}


def _numbers(kind: Kind, values: pa.Array) -> Ints:
    """The values as PostgreSQL has them in memory; NULLs are anything."""
    if kind is Kind.BOOLEAN:
        values = values.cast(pa.int8())
    elif kind is Kind.DATE:
        values = values.cast(pa.int32())
    elif kind in {Kind.TIME, Kind.TIMESTAMP}:
        values = values.cast(pa.int64())
    longs: Ints = pc.fill_null(values, 0).to_numpy().astype(np.int64, copy=False)
    return longs - _EPOCHS[kind] if kind in _EPOCHS else longs


_EPOCHS: Final = {Kind.DATE: TO_POSTGRES_DAYS, Kind.TIMESTAMP: TO_POSTGRES_US}


def _scaled(values: pa.Array, scale: int) -> Ints:
    """The decimals times 10^scale; they have at most 18 digits, so the lower half is all."""
    exact = values.cast(pa.decimal128(38, scale))
    words = np.frombuffer(exact.buffers()[1], np.int64)
    return words[2 * exact.offset : 2 * (exact.offset + len(exact)) : 2].copy()


def _texts(values: pa.Array) -> tuple[lookup3.Bytes, Ints]:
    """The bytes of these texts, and where each of them begins and ends."""
    wide = values.cast(pa.large_string())
    _, offset_buffer, data_buffer = wide.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64, len(wide) + 1, wide.offset * 8)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer else np.zeros(0, np.uint8)
    return data, offsets
