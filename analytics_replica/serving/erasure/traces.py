"""What a person's key and values became behind the masks: the traces to search for.

Here: computing them with the same seal as the stream, for every known masking key, and the columns
in which a kept key may stand. Not here: searching (warehouse.py, files.py). A trace's text is never
printed.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.errors import SettingsInvalid, StreamInvalid
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.seal import TableSeal
from analytics_replica.masking.strategies import mask_column
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.settings.rules import Mask
from analytics_replica.settings.secrets import MaskingKeys

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
    the table itself.
    """

    text: str = field(repr=False)
    says: str
    wide: bool
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Person:
    """What to search for: the key's column values as the table holds them, and all traces.

    `keys` has one combination of column → text for each masking key that was ever named. `unseen`
    says of which columns nothing can be searched for, and why.
    """

    table: TableName
    keys: tuple[Mapping[str, str], ...] = field(repr=False)
    traces: tuple[Trace, ...]
    unseen: tuple[str, ...]
    reference: str

    @property
    def wide(self) -> tuple[Trace, ...]:
        """The traces that may stand anywhere."""
        return tuple(trace for trace in self.traces if trace.wide)


def person_of(
    landed: tuple[LandedColumn, ...],
    table: TableName,
    policy: Policy,
    keys: MaskingKeys,
    *,
    key: Mapping[str, str],
    values: Iterable[tuple[str, str]],
    named: Iterable[str] = (),
) -> Person:
    """The traces of this key and these further values (column and raw text) of its row.

    `named` are further names of columns in which the key stands. SettingsInvalid if a column is
    not landed or a value is not one of its type; the value is not repeated.
    """
    shape = Table(table, tuple(column.column for column in landed))
    unseen: list[str] = []
    traces: list[Trace] = []
    combinations: list[dict[str, str]] = []
    places = (
        frozenset({*_foreign_names(table, tuple(key)), *named}) if len(key) == 1 else frozenset()
    )
    for key_id in keys.by_id:
        sealed = _sealed(shape, policy, keys, key_id, key)
        combinations += [found] if (found := _known(sealed)) not in combinations else []
        for column, text in sealed.items():
            traces += _trace(policy, table, column, text, key_id, places, unseen)
    for column, raw in values:
        for key_id in keys.by_id:
            text = _sealed(shape, policy, keys, key_id, {column: raw})[column]
            traces += _trace(policy, table, column, text, key_id, frozenset({column}), unseen)
    for raw in {*key.values(), *(raw for _, raw in values)}:
        traces += _in_every_domain(policy, keys, raw)
    return Person(
        table,
        tuple(combinations),
        _unique(traces),
        tuple(dict.fromkeys(unseen)),
        _reference(keys, table, key),
    )


def _sealed(
    shape: Table, policy: Policy, keys: MaskingKeys, key_id: str, raw: Mapping[str, str]
) -> dict[str, str | None]:
    """What these values become under this masking key."""
    known = {column.name for column in shape.columns}
    for column in raw:
        if column not in known:
            raise SettingsInvalid(
                what=f"{shape.name} has no landed column {column}.",
                why="What is not landed is in no store; a wrong name would prove nothing.",
                next=f"Its columns are {', '.join(sorted(known))}.",
            )
    wanted = tuple(replace(c, key=False) for c in shape.columns if c.name in raw)
    under = {column: _with_key(policy.treatment(shape.name, column), key_id) for column in raw}
    seal = TableSeal.of_stream(
        Table(shape.name, wanted),
        Policy({shape.name: under}),
        MaskingKeys(key_id, keys.by_id),
    )
    try:
        done = seal.apply([pa.array([raw[column.name]], pa.string()) for column in wanted])
    except StreamInvalid as cause:
        raise SettingsInvalid(
            what=f"A value given for {shape.name} is not one of its column's type.",
            why=f"It cannot have been landed. {cause.what}",
            next="Give it as production's psql prints it.",
        ) from None
    return {
        landed.column.name: _text(column.values, column.exact)
        for landed, column in zip(seal.columns, done, strict=True)
    }


def _text(values: pa.Array, exact: pa.Array | None) -> str | None:
    if exact is not None and exact[0].is_valid:
        return str(exact[0].as_py())
    return None if not values[0].is_valid else str(values[0].as_py())


def _with_key(done: Treatment, key_id: str) -> Treatment:
    return replace(done, key_id=key_id) if done.key_id is not None else done


def _known(sealed: Mapping[str, str | None]) -> dict[str, str]:
    return {column: text for column, text in sealed.items() if text is not None}


def _trace(
    policy: Policy,
    table: TableName,
    column: str,
    text: str | None,
    key_id: str,
    places: frozenset[str],
    unseen: list[str],
) -> Iterator[Trace]:
    done = policy.treatment(table, column)
    if done.kind is Kind.KEEP and text:
        yield Trace(text, f"{column}, kept", wide=False, columns=places)
        return
    if done.mask is None or done.mask.name not in IDENTIFYING or not text:
        what = done.mask.name if done.mask is not None else done.kind.value
        unseen.append(f"{column} ({what}: many people share what is left of it, or nothing is)")
        return
    yield from _token(text, done.mask, f"{column}, {done.mask.name}, key {key_id}", places)


def _token(text: str, mask: Mask, says: str, places: frozenset[str]) -> Iterator[Trace]:
    token = text.partition("@")[0] if mask.name == "email" else text
    wide = len(token) >= WIDE and not token.lstrip("-").isdecimal()
    yield Trace(token, says, wide=wide, columns=places)
    if wide and mask.as_ == "uuid":
        yield Trace(token.replace("-", ""), says, wide=True)


def _in_every_domain(policy: Policy, keys: MaskingKeys, raw: str) -> Iterator[Trace]:
    """What the value became wherever a column of any domain held it, also inside JSON."""
    for mask in _token_masks(policy):
        for key_id, key in keys.by_id.items():
            made = mask_column(pa.array([raw], pa.string()), mask, key)[0].as_py()
            if made:
                says = f"domain {mask.domain}, {mask.name}, key {key_id}"
                yield from (t for t in _token(str(made), mask, says, frozenset()) if t.wide)


def _token_masks(policy: Policy) -> list[Mask]:
    rules = [done.mask for columns in policy.tables.values() for done in columns.values()]
    rules += [done.mask for _, done in policy.patterns]
    found: list[Mask] = []
    while rules:
        rule = rules.pop()
        if rule is None:
            continue
        rules += [inner for inner in rule.paths.values() if isinstance(inner, Mask)]
        plain = rule.model_copy(update={"elements": False})
        if rule.name in IDENTIFYING and plain not in found:
            found.append(plain)
    return found


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
        merged = replace(before, columns=before.columns | trace.columns)
        found[trace.text, trace.wide] = merged
    return tuple(found.values())


def _reference(keys: MaskingKeys, table: TableName, key: Mapping[str, str]) -> str:
    """Names the request without naming the person: the same for the same key, to us only."""
    said = "\0".join([str(table), *(f"{column}={key[column]}" for column in sorted(key))])
    derived = hmac.digest(keys.active_key, b"analytics-replica/erasure/v1", "sha256")
    return hmac.digest(derived, said.encode(), "sha256").hex()[:16]


def key_columns(landed: tuple[LandedColumn, ...]) -> tuple[Column, ...]:
    """The columns that identify a row of the table."""
    return tuple(column.column for column in landed if column.column.key)
