"""What a person's key and values became behind the masks: the traces to search for.

Here: computing them with the stream's own masks, for every treatment that is recorded and every
known masking key, and the columns in which a kept key may stand. Not here: which treatments those
are (recorded.py), searching (warehouse.py, files.py). A trace's text is never printed.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.serving.erasure.recorded import Past
from analytics_replica.settings.rules import Mask
from analytics_replica.settings.secrets import MaskingKeys

Printed = Callable[[Sequence[tuple[str, str]]], list[str | None]]
"""Texts with their types → each as PostgreSQL prints the value; None if it is none of the type."""

WIDE: Final = 16
"""A token of so many characters stands for one value only: it is searched for everywhere."""

GENERIC: Final = frozenset({"id", "key", "code", "no", "number", "name", "email"})
"""Names of keys that say nothing where they stand alone in another table."""

IDENTIFYING: Final = frozenset({"token", "email"})


@dataclass(frozen=True)
class Trace:
    """One text that may be left of a person.

    `says` names column, treatment and key id. A wide one is searched for everywhere, also inside
    texts; any other only as the whole value of `columns` (of any table) and, if it is a key, of
    the table itself. `own`: the person's own column became this, so nothing of the person is
    where it is not; other traces are what the value would be elsewhere, if it is there.
    """

    text: str = field(repr=False)
    says: str
    wide: bool
    columns: frozenset[str] = frozenset()
    own: bool = True


@dataclass(frozen=True)
class Person:
    """What to search for: the key's column values as tables may hold them, and all traces.

    `key` has for each of its columns every text that may stand for the value: one for each
    recorded treatment and masking key. `unseen` says of which columns nothing can be searched for,
    and why; `lost` names masking keys that made tokens and are not in replica.yaml any more.
    """

    table: TableName
    key: Mapping[str, tuple[str, ...]] = field(repr=False)
    traces: tuple[Trace, ...]
    unseen: tuple[str, ...]
    reference: str
    lost: tuple[str, ...] = ()

    @property
    def wide(self) -> tuple[Trace, ...]:
        """The traces that may stand anywhere."""
        return tuple(trace for trace in self.traces if trace.wide)

    def narrow_in(self, column: str) -> list[str]:
        """The texts that stand for the person as the whole value of a column of this name."""
        return [t.text for t in self.traces if not t.wide and column in t.columns]

    def has_key(self, columns: Collection[str]) -> bool:
        """Whether rows with these columns can be told by the key."""
        return bool(self.key) and all(column in columns for column in self.key)

    def misses_key(self, columns: Collection[str]) -> bool:
        """Whether nothing tells the person in rows of the table that have these columns."""
        return bool(self.key) and not self._has_token and not self.has_key(columns)

    @property
    def _has_token(self) -> bool:
        return any(trace.own for trace in self.wide)

    def why_not_searched(self, *, by_row: bool = False, by_name: bool = False) -> str:
        """Why the search of a store proves nothing; empty if it does.

        `by_row`: it has rows of the table itself, which the key tells. `by_name`: a kept key is
        searched for in columns that are named like it. Tokens are searched for everywhere.
        """
        named = by_name and any(trace.columns for trace in self.traces)
        if self._has_token or (self.key and (by_row or named)):
            return ""
        return _NOT_TOLD if self.key else _NOTHING


_NOTHING: Final = "nothing is left of the key that tells this person from others"
_NOT_TOLD: Final = (
    "the key is kept as it is, and nothing tells it from others here: "
    "name a value that becomes a token (--value)"
)


@dataclass(frozen=True)
class _Made:
    """What a value became under one treatment (and one masking key); None: nothing is left."""

    text: str | None = field(repr=False)
    done: Treatment
    key_id: str = ""


def person_of(
    past: Past,
    keys: MaskingKeys,
    printed: Printed,
    *,
    key: Mapping[str, str],
    values: Iterable[tuple[str, str]],
    named: Iterable[str] = (),
) -> Person:
    """The traces of this key and these further values (column and raw text) of its row.

    `named` are further names of columns in which the key stands. SettingsInvalid if a column is
    not landed or a value is not one of its type; the value is not repeated.
    """
    table, values = past.table, list(values)
    unseen: list[str] = []
    traces: list[Trace] = []
    rows: dict[str, tuple[str, ...]] = {}
    names = frozenset({*_foreign_names(table, tuple(key)), *named}) if len(key) == 1 else ()
    for column, raw in key.items():
        found = _made(past, keys, printed, column, raw)
        traces += _traces(column, found, frozenset(names), unseen)
        texts = dict.fromkeys(made.text for made in found if made.text is not None)
        rows |= {column: tuple(texts)} if texts else {}
    for column, raw in values:
        found = _made(past, keys, printed, column, raw)
        traces += _traces(column, found, frozenset({column}), unseen)
    for raw in {*key.values(), *(raw for _, raw in values)}:
        traces += _in_every_domain(past.masks, keys, raw)
    return Person(
        table,
        rows,
        _unique(traces),
        tuple(dict.fromkeys(unseen)),
        _reference(keys, table, key),
        tuple(sorted(past.keys - keys.by_id.keys())),
    )


def _made(past: Past, keys: MaskingKeys, printed: Printed, column: str, raw: str) -> list[_Made]:
    """What this value became under every treatment that the column ever had."""
    if column not in past.columns:
        raise SettingsInvalid(
            what=f"{past.table} has no landed column {column}.",
            why="What is not landed is in no store; a wrong name would prove nothing.",
            next=f"Its columns are {', '.join(sorted(past.columns))}.",
        )
    known = past.columns[column]
    found: list[_Made] = []
    for done in known.treatments:
        if done.kind is Kind.KEEP:
            texts = [] if "\0" in raw else printed([(raw, kind) for kind in known.types])
            kept = dict.fromkeys(text for text in texts if text is not None)
            found += [_Made(text, done) for text in kept]
        elif done.mask is None:
            found.append(_Made(None, done))
        else:
            found += [_Made(_masked(raw, done.mask, key), done, i) for i, key in keys.by_id.items()]
    if not found:
        raise SettingsInvalid(
            what=f"The value given for {past.table}.{column} is not one of its type.",
            why="It cannot have been landed.",
            next="Give it as production's psql prints it.",
        )
    return found


def _masked(raw: str, mask: Mask, key: bytes) -> str | None:
    value = mask_column(pa.array([raw], pa.string()), mask, key)[0].as_py()
    return None if value is None else str(value)


def _traces(
    column: str, found: Iterable[_Made], places: frozenset[str], unseen: list[str]
) -> Iterator[Trace]:
    for made in found:
        mask = made.done.mask
        if made.done.kind is Kind.KEEP and made.text:
            yield Trace(made.text, f"{column}, kept", wide=False, columns=places)
        elif mask is None or mask.name not in IDENTIFYING or not made.text:
            what = mask.name if mask is not None else made.done.kind.value
            unseen.append(f"{column} ({what}: many people share what is left of it, or nothing is)")
        else:
            yield from _token(made.text, mask, f"{column}, {mask.name}, key {made.key_id}", places)


def _token(text: str, mask: Mask, says: str, places: frozenset[str]) -> Iterator[Trace]:
    token = text.partition("@")[0] if mask.name == "email" else text
    wide = len(token) >= WIDE and not token.lstrip("-").isdecimal()
    yield Trace(token, says, wide=wide, columns=places)
    if wide and mask.as_ == "uuid":
        yield Trace(token.replace("-", ""), says, wide=True)


def _in_every_domain(masks: Iterable[Mask], keys: MaskingKeys, raw: str) -> Iterator[Trace]:
    """What the value became wherever a column of any domain held it, also inside JSON."""
    for mask in (mask for mask in masks if mask.name in IDENTIFYING):
        for key_id, key in keys.by_id.items():
            if made := _masked(raw, mask, key):
                says = f"domain {mask.domain}, {mask.name}, key {key_id}"
                found = _token(made, mask, says, frozenset())
                yield from (replace(trace, own=False) for trace in found if trace.wide)


def _foreign_names(table: TableName, key: tuple[str, ...]) -> Iterator[str]:
    """Names under which other tables have the key: `customer_id` for the `id` of `customers`."""
    (column,) = key
    if column not in GENERIC:
        yield column
    name = table.name
    singular = f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
    for subject in (name, singular, singular.removesuffix("e")):
        yield f"{subject}_{column}"


def _unique(traces: Iterable[Trace]) -> tuple[Trace, ...]:
    found: dict[tuple[str, bool], Trace] = {}
    for trace in traces:
        before = found.setdefault((trace.text, trace.wide), trace)
        columns, own = before.columns | trace.columns, before.own or trace.own
        merged = replace(before, columns=columns, own=own)
        found[trace.text, trace.wide] = merged
    return tuple(found.values())


def _reference(keys: MaskingKeys, table: TableName, key: Mapping[str, str]) -> str:
    """Names the request without naming the person: the same for the same key, to us only."""
    said = "\0".join([str(table), *(f"{column}={key[column]}" for column in sorted(key))])
    derived = hmac.digest(keys.active_key, b"analytics-replica/erasure/v1", "sha256")
    return hmac.digest(derived, said.encode(), "sha256").hex()[:16]
