"""The types that staging has: what the warehouse's catalog says, and whether they still fit.

Here: reading them, and judging which can follow production and which must be made anew. Not here:
production's side (user_types.py), changing them (type_changes.py).

Each type says in its comment which type of production it is and which label is which, so that a
renamed label, or another type of the same name, is told from what was there before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from analytics_replica.domain.definitions import Definitions, TypeKind, UserType
from analytics_replica.staging.user_types import UserTypes, shortened
from analytics_replica.staging.warehouse import Transaction

_HELD: Final = """
-- the types of a schema: kind, what they are made of, labels in order, and what they say they are
select t.typname::text, t.typtype::text,
       coalesce(format_type(coalesce(r.rngsubtype, nullif(t.typbasetype, 0)), t.typtypmod), ''),
       (select coalesce(json_agg(l.enumlabel order by l.enumsortorder), '[]')::text
        from pg_enum l where l.enumtypid = t.oid),
       obj_description(t.oid, 'pg_type')
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_range r on r.rngtypid = t.oid
where n.nspname = $1 and t.typtype in ('e', 'd', 'r')
"""

_MARK: Final = "analytics-replica made it of: "


@dataclass(frozen=True, slots=True)
class HeldType:
    """A type in staging's schema of types.

    `labels` are an enum's texts in order; `of` is what it was made of, None if it is not (or no
    longer) one of production's.
    """

    name: str
    kind: str
    base: str
    labels: tuple[str, ...]
    of: UserType | None


def held_types(within: Transaction, schema: str) -> dict[str, HeldType]:
    """The types of this schema by name."""
    return {
        name: HeldType(name, kind, base, tuple(json.loads(labels)), _of(comment))
        for name, kind, base, labels, comment in within.rows(_HELD, schema)
    }


def comment_of(described: UserType) -> str:
    """What a type that was made of this one says."""
    labels = tuple(replace(label, former=()) for label in described.labels)
    whole = Definitions(types=(replace(described, labels=labels),))
    body = json.dumps(json.loads(whole.to_json()), ensure_ascii=False, sort_keys=True)
    return f"Production's type {described.name}. {_MARK}{body}"


def _of(comment: str | None) -> UserType | None:
    _, mark, body = (comment or "").partition(_MARK)
    if not mark:
        return None
    try:
        return Definitions.of_json(body).types[0]
    except (ValueError, KeyError, TypeError, IndexError):
        return None  # somebody wrote another comment: it is not ours any more


@dataclass(frozen=True)
class Naming:
    """Which type of production has which name in staging, and which held ones make room."""

    types: UserTypes
    aside: tuple[str, ...]


def named(
    schema: str,
    wanted: Mapping[int, UserType],
    newest: Mapping[int, UserType],
    held: Mapping[str, HeldType],
) -> Naming:
    """A name in the schema for every wanted type. Pure.

    One that is held keeps its name while it can follow. A held type makes room if it cannot, or
    if another type of production has its name now.
    """
    ours = {h.of.oid: h for h in held.values() if h.of is not None}
    found = UserTypes(schema, wanted, {})
    names: dict[int, str] = {}
    aside: list[str] = []
    # Production's newest types first: one that is gone there must not keep a name from them.
    for oid in sorted(wanted, key=lambda oid: (oid not in newest, oid)):
        _name(oid, found, names, aside, ours, held)
        found = replace(found, named=dict(names))
    return Naming(found, tuple(aside))


def _name(
    oid: int,
    types: UserTypes,
    names: dict[int, str],
    aside: list[str],
    ours: Mapping[int, HeldType],
    held: Mapping[str, HeldType],
) -> None:
    described = types.types[oid]
    if oid in names or described.kind is TypeKind.ARRAY:
        return
    base, known = described.of[0], types.types
    if described.kind is not TypeKind.ENUM and base in known:
        below = known[base]
        inner = below.of[0] if below.kind is TypeKind.ARRAY else base
        if inner in known:
            _name(inner, types, names, aside, ours, held)
    mine = ours.get(oid)
    if mine is not None:
        spelled = replace(types, named=names).spelled(*described.of)
        if _follows(mine, described, spelled or "", aside):
            names[oid] = mine.name
            return
        aside.append(mine.name)
    name = shortened(str(described.name))
    other = held.get(name)
    if name in names.values() or (other is not None and other.of is None and name not in aside):
        name = shortened(name, of=str(oid))
    elif other is not None and name not in aside:
        aside.append(name)
    names[oid] = name


def _follows(held: HeldType, now: UserType, base: str, aside: list[str]) -> bool:
    if held.kind != now.kind:
        return False
    if now.kind is not TypeKind.ENUM:
        return held.base == base and not any(f'"{name}"' in base for name in aside)
    return not _is_tangled(held, now)


def oids_of(held: HeldType) -> dict[str, int]:
    """The OID of each label that it has; 0 for one that came before production's catalog told."""
    known = {label.text: label.oid for label in held.of.labels} if held.of is not None else {}
    return {text: known.get(text, 0) for text in held.labels}


def _is_tangled(held: HeldType, now: UserType) -> bool:
    """True if no adding and renaming of labels makes the held enum production's."""
    texts = {label.oid: label.text for label in now.labels}
    oids = oids_of(held)
    present = set(oids.values())
    places = {label.text: place for place, label in enumerate(now.labels)}
    order = []
    for text, oid in oids.items():
        wanted = texts.get(oid, text)
        if wanted != text and oids.get(wanted) == 0:
            return True  # it came under its new name before its old one was known to be the same
        if oid not in texts and oid != 0:
            return True  # production cannot remove a label: it is another enum
        if wanted in places:
            order.append(places[wanted])
    reused = any(label.oid not in present and oids.get(label.text, 0) for label in now.labels)
    return reused or order != sorted(order)
