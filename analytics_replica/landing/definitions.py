"""Landed definitions: comments, indexes and user types, without what may not leave production.

Here: taking out of a catalog's definitions what the policy does not let pass, and keeping the rest
under its digest, which manifests name. Not here: asking the catalog
(source.catalog_definitions), what staging makes of it (staging).

Of a column that is dropped, sealed or not listed nothing is kept; of a masked one its comment, and
indexes if its mask keeps equal values equal. Comments pass through the mask redact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import pyarrow as pa

from analytics_replica.domain.definitions import (
    Definitions,
    Index,
    Label,
    TableDefinition,
    TypeKind,
    UserType,
)
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import LandingBroken
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import digest
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.strategies import STRATEGIES, mask_column
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.settings.rules import Mask

FOLDER: Final = "definitions"

_REDACT: Final = Mask(mask="redact")
_BY_EQUALITY: Final = frozenset({"btree", "hash"})
_NONE: Final = Definitions()


def leaving(seen: Definitions, policy: Policy, at: Lsn, before: Definitions = _NONE) -> Definitions:
    """What may be stored of the definitions that a catalog had at `at`. Pure.

    A table that was renamed stands under the name that the policy lists. Texts that an enum's
    label had `before` are remembered with it.
    """
    known = {table.oid: table.table for table in before.tables}
    tables = []
    for table in seen.tables:
        listed = table.table if table.table in policy.tables else known.get(table.oid)
        if listed is not None and listed in policy.tables:
            tables.append(_table(replace(table, table=listed), policy))
    kept = {
        column.type_oid
        for table in tables
        for column in table.columns
        if policy.treatment(table.table, column.name).kind is Kind.KEEP
    }
    types = {described.oid: described for described in seen.types}
    used = (types[oid] for oid in sorted(_used(kept, types)))
    found = Definitions(tuple(sorted(tables, key=lambda t: t.table)), tuple(used))
    return _remembering(found, before, at)


def joined(newer: Definitions, older: Definitions, at: Lsn) -> Definitions:
    """The newer definitions, and what only the older ones have; these stood until `at`. Pure."""
    tables = {table.table for table in newer.tables}
    types = {described.oid for described in newer.types}
    both = Definitions(
        (*newer.tables, *(table for table in older.tables if table.table not in tables)),
        (*newer.types, *(described for described in older.types if described.oid not in types)),
    )
    return _remembering(both, older, at)


def record(store: Store, definitions: Definitions) -> str:
    """Keeps the definitions in landing; returns the digest that a manifest names. Repeatable."""
    data = definitions.to_json()
    name = digest(data)
    if not store.exists(_path(name)):
        written = store.unfinished()
        with disk_errors("writing definitions"):
            written.write_bytes(data)
        store.publish(written, _path(name))
    return name


def recorded(store: Store, name: str) -> Definitions:
    """The definitions with this digest; none for '' (an older manifest).

    LandingBroken if they are missing or not what was recorded.
    """
    if not name:
        return _NONE
    data = store.read(_path(name))
    if digest(data) != name:
        raise LandingBroken(
            what=f"{_path(name)} is not the file that was landed (its checksum differs).",
            why="Staging could give values another type or order than production has.",
            next="Restore the file from a backup of landing.",
        )
    return Definitions.of_json(data)


def _path(name: str) -> str:
    return f"{FOLDER}/{name}.json"


def _table(table: TableDefinition, policy: Policy) -> TableDefinition:
    passing = {
        column.name: policy.treatment(table.table, column.name)
        for column in table.columns
        if policy.treatment(table.table, column.name).kind in (Kind.KEEP, Kind.MASK)
    }
    columns = [column for column in table.columns if column.name in passing]
    comments = [""] * (1 + len(columns))
    if table.table in policy.comments:
        comments = _redacted(table.comment, *(column.comment for column in columns))
    return TableDefinition(
        table.table,
        table.oid,
        comments[0],
        tuple(
            replace(column, comment=comment)
            for column, comment in zip(columns, comments[1:], strict=True)
        ),
        tuple(index for index in table.indexes if _is_useful(index, passing)),
    )


def _redacted(*comments: str) -> list[str]:
    # The mask needs no key: it has no tokens.
    return [text or "" for text in mask_column(pa.array(comments), _REDACT, b"").to_pylist()]


def _is_useful(index: Index, passing: Mapping[str, Treatment]) -> bool:
    treatments = [passing.get(name) for name in index.names]
    return all(
        done is not None
        and (done.kind is Kind.KEEP or (index.method in _BY_EQUALITY and _keeps_equality(done)))
        for done in treatments
    )


def _keeps_equality(done: Treatment) -> bool:
    mask = done.mask
    return mask is not None and STRATEGIES[mask.name].keeps_joins and not mask.elements


def _used(kept: Iterable[int], types: Mapping[int, UserType]) -> set[int]:
    """The types among these OIDs, and those that they are made of."""
    found: set[int] = set()
    todo = [oid for oid in kept if oid in types]
    while todo:
        oid = todo.pop()
        if oid not in found:
            found.add(oid)
            if types[oid].kind is not TypeKind.ENUM and types[oid].of[0] in types:
                todo.append(types[oid].of[0])
    return found


def _remembering(now: Definitions, before: Definitions, at: Lsn) -> Definitions:
    had = {label.oid: label for described in before.types for label in described.labels}
    return replace(
        now,
        types=tuple(
            replace(
                described,
                labels=tuple(
                    _with_former(label, had.get(label.oid), at) for label in described.labels
                ),
            )
            for described in now.types
        ),
    )


def _with_former(label: Label, before: Label | None, at: Lsn) -> Label:
    if before is None:
        return label
    former = {**dict(before.former), **dict(label.former)}
    if before.text != label.text:
        former[before.text] = str(at)
    former.pop(label.text, None)
    return replace(label, former=tuple(sorted(former.items())))
