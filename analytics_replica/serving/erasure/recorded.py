"""What was ever done to each column: the treatments that manifests, ledger and policy tell.

Here: collecting them, so that a person is searched for as they were landed, not only as they would
be today. Not here: what a value becomes under them (traces.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from analytics_replica.domain.batches import LandedFile, Manifest
from analytics_replica.domain.tables import TableName
from analytics_replica.masking.key_versions import keys_named
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.treatments import Treatment, read_back
from analytics_replica.settings.rules import Mask, masks_in
from analytics_replica.staging.ledger import Ledger

_T = TypeVar("_T")


@dataclass(frozen=True)
class ColumnPast:
    """What a landed column was: its types in staging and its treatments, the newest last."""

    types: list[str] = field(default_factory=list)
    treatments: list[Treatment] = field(default_factory=list)


@dataclass(frozen=True)
class Past:
    """One table's columns as they were landed, and the masks of all tables.

    `key` are the names of its key columns, `masks` all masks that were ever used, `keys` the ids
    of all keys that made tokens which may still be there.
    """

    table: TableName
    columns: dict[str, ColumnPast] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    masks: tuple[Mask, ...] = ()
    keys: frozenset[str] = frozenset()


def files_of(manifest: Manifest) -> tuple[LandedFile, ...]:
    """All files of the batch, also those beside."""
    return (*manifest.files, *manifest.beside)


def past_of(table: TableName, known: Iterable[Manifest], ledger: Ledger, policy: Policy) -> Past:
    """What the manifests that are present, the ledger and replica.yaml tell of this table."""
    columns: dict[str, ColumnPast] = {}
    key: tuple[str, ...] = ()
    named: set[str] = set()
    for file in (file for manifest in known for file in files_of(manifest)):
        named |= {landed.treatment for landed in file.columns}
        if file.table != table:
            continue
        key = tuple(landed.column.name for landed in file.key)
        for landed in file.columns:
            past = columns.setdefault(landed.column.name, ColumnPast())
            _add(past.types, landed.staging_type)
            _add(past.treatments, read_back(landed.treatment))
    for name, words in _staged(ledger, table):
        named.add(words)
        if name in columns:
            _add(columns[name].treatments, read_back(words))
    for name, past in columns.items() if table in policy.tables else ():
        _add(past.treatments, policy.treatment(table, name))
    return Past(table, columns, key, _masks(named, policy), keys_named(named))


def _add(known: list[_T], new: _T) -> None:
    if new not in known:
        known.append(new)


def _staged(ledger: Ledger, table: TableName) -> Iterator[tuple[str, str]]:
    """Each treatment that rows of staging have; the column's name is empty in other tables."""
    for applied in ledger.tables.values():
        for column in applied.columns:
            name = column.name if applied.table == table else ""
            yield name, column.treatment
            if column.before is not None:
                yield name, column.before


def _masks(named: Iterable[str], policy: Policy) -> tuple[Mask, ...]:
    rules = [read_back(words).mask for words in sorted(named)]
    rules += [done.mask for columns in policy.tables.values() for done in columns.values()]
    rules += [done.mask for _, done in policy.patterns]
    found: list[Mask] = []
    for mask in (mask for rule in rules if rule is not None for mask in masks_in(rule)):
        # Of an array each element is a value; the class says nothing of what was made.
        _add(found, mask.model_copy(update={"elements": False, "class_": None}))
    return tuple(found)
