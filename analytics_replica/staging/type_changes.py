"""Making production's user types in staging, and following what happens to them.

Here: the statements, and when each may run. Not here: names and spelling (user_types.py), which
types fit (held_types.py).

A label cannot be used in the transaction that adds it, so new labels are added in a short one of
their own before: a label that no row has yet changes nothing. Everything else is part of the apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Final

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.definitions import Definitions, TypeKind, UserType
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.definitions import recorded
from analytics_replica.landing.layout import Store
from analytics_replica.postgres.identifiers import (
    Sql,
    compose,
    join,
    literal,
    name,
    table,
    type_name,
)
from analytics_replica.staging import ddl
from analytics_replica.staging.held_types import (
    HeldType,
    comment_of,
    held_types,
    named,
    oids_of,
)
from analytics_replica.staging.labels import additions, mentioned, require_clear, texts_of
from analytics_replica.staging.shapes import Shape, ShapeColumn
from analytics_replica.staging.user_types import UserTypes, old_texts, shortened, types_schema
from analytics_replica.staging.warehouse import Transaction
from analytics_replica.staging.windows import Window
from analytics_replica.staging.workbench import Workbench

_UNUSED: Final = """
-- types of the schema that no column, view or other type uses
select t.typname::text, t.typtype = 'd'
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_range r on r.rngtypid = t.oid
where n.nspname = $1 and t.typtype in ('e', 'd', 'r') and not exists (
    select from pg_depend d
    where d.refclassid = 'pg_type'::regclass and d.deptype = 'n'
      and d.refobjid in (t.oid, t.typarray, r.rngmultitypid))
"""

_MAKE: Final = {
    TypeKind.ENUM: "create type {type} as enum ({labels})",
    TypeKind.DOMAIN: "create domain {type} as {base}",
    TypeKind.RANGE: "create type {type} as range (subtype = {base}, multirange_type_name = {many})",
}


@dataclass
class StagingTypes:
    """The user types of one apply: what columns get, and what must be done before rows come.

    `seen` are texts that came in an enum's columns and that no definition knows, by its OID.
    """

    user: UserTypes
    newest: Definitions
    held: Mapping[str, HeldType]
    seen: dict[int, set[str]] = field(default_factory=dict)
    needed: dict[int, UserType] = field(default_factory=dict)

    def shaped(self, bench: Workbench, window: Window, shape: Shape) -> Shape:
        """The shape with what its columns of user types need; remembers which types it needs.

        TableQuarantined if a text in the window may be one of two labels.
        """
        oids = {c.column.name: c.column.type_oid for file in window.files for c in file.columns}
        columns = (
            self._column(bench, window, column, oids[column.name])
            if column.staging_type == self.user.spelled(oids[column.name])
            and oids[column.name] in self.user.types
            else column
            for column in shape.columns
        )
        return replace(shape, columns=tuple(columns))

    def _column(
        self, bench: Workbench, window: Window, column: ShapeColumn, oid: int
    ) -> ShapeColumn:
        self.needed.update((described.oid, described) for described in self.user.used_by(oid))
        enum = self.user.enum(oid)
        if enum is None:
            return column
        old = old_texts(enum, window)
        array = self.user.wire(oid) is None
        renamed: tuple[tuple[str, str], ...] = ()
        if not array or old.now or old.doubtful:
            texts = texts_of(bench, window, column.name)
            require_clear(window, column, enum, mentioned(old.doubtful, texts, array=array))
            present = mentioned([text for text, _ in old.now], texts, array=array)
            renamed = tuple(pair for pair in old.now if pair[0] in present)
            known = {label.text for label in enum.labels} | present
            if not array:
                self.seen.setdefault(enum.oid, set()).update(texts - known)
        return replace(column, wire=self.user.wire(oid) or "", renamed=renamed)

    def prepare(
        self, within: Transaction, beside: Callable[[], AbstractContextManager[Transaction]]
    ) -> None:
        """Makes the needed types, and lets those that are there follow production.

        `beside` opens a transaction of its own, in which labels are added.
        """
        ours = {h.of.oid: h for h in self.held.values() if h.of is not None}
        follow = [
            (described, ours[oid])
            for oid, described in self.user.types.items()
            if oid in ours and self.user.named.get(oid) == ours[oid].name
        ]
        self._add_labels(follow, beside)
        for described, held in follow:
            self._rename_labels(within, described, held)
            if held.of is None or comment_of(held.of) != comment_of(described):
                self._describe(within, described)
        there = {described.oid for described, _ in follow}
        making = [d for oid, d in self.needed.items() if oid not in there]
        if making:
            ddl.ensure_schema(within, self.user.schema)
        for described in making:
            self._make(within, described)
            self._describe(within, described)

    def _add_labels(
        self,
        follow: Sequence[tuple[UserType, HeldType]],
        beside: Callable[[], AbstractContextManager[Transaction]],
    ) -> None:
        statements = [
            statement
            for described, held in follow
            if described.kind is TypeKind.ENUM
            for statement in additions(
                self._sql(described), described, held, sorted(self.seen.get(described.oid, ()))
            )
        ]
        if statements:
            with beside() as alone:
                for statement in statements:
                    alone.execute(statement)

    def _rename_labels(self, within: Transaction, described: UserType, held: HeldType) -> None:
        texts = {label.oid: label.text for label in described.labels}
        changed = [(old, texts[o]) for old, o in oids_of(held).items() if texts.get(o, old) != old]
        between = {old: shortened(old, of="renamed") for old, _ in changed}
        # By a third name, for two may have each other's.
        for old, new in (*between.items(), *((between[old], new) for old, new in changed)):
            within.execute(
                compose(
                    "alter type {type} rename value {old} to {new}",
                    type=self._sql(described),
                    old=literal(old),
                    new=literal(new),
                )
            )

    def _make(self, within: Transaction, described: UserType) -> None:
        parts = {"type": self._sql(described)}
        if described.kind is TypeKind.ENUM:
            texts = [label.text for label in described.labels]
            texts += sorted(self.seen.get(described.oid, ()))
            parts["labels"] = join(", ", map(literal, texts))
        else:
            parts["base"] = type_name(self.user.spelled(*described.of) or "")
        if described.kind is TypeKind.RANGE:
            many = shortened(f"{self.user.named[described.oid]} many", of=str(described.oid))
            parts["many"] = table(TableName(self.user.schema, many))
        within.execute(compose(_MAKE[described.kind], **parts))

    def _describe(self, within: Transaction, described: UserType) -> None:
        within.execute(
            compose(
                "comment on type {type} is {text}",
                type=self._sql(described),
                text=literal(comment_of(described)),
            )
        )

    def _sql(self, described: UserType) -> Sql:
        return table(TableName(self.user.schema, self.user.named[described.oid]))


def open_types(
    within: Transaction, store: Store, found: Sequence[Manifest], staging_schema: str
) -> StagingTypes:
    """What the definitions of these batches and the warehouse say of user types.

    A held type that cannot follow production makes room: it gets another name, its tables keep it.
    """
    schema = types_schema(staging_schema)
    digests = list(dict.fromkeys(m.definitions for m in found if m.definitions))
    known = {digest: recorded(store, digest) for digest in digests}
    newest = known[_last(found)] if digests else Definitions()
    held = held_types(within, schema)
    wanted = {h.of.oid: h.of for h in held.values() if h.of is not None}
    for definitions in (*known.values(), newest):
        wanted |= {described.oid: described for described in definitions.types}
    names = named(schema, wanted, {d.oid: d for d in newest.types}, held)
    for old in names.aside:
        _set_aside(within, schema, old, held)
    left = {n: h for n, h in held.items() if n not in names.aside}
    copies = (m.to_lsn for m in found if m.kind is BatchKind.COPY and m.definitions)
    return StagingTypes(replace(names.types, copies=frozenset(copies)), newest, left)


def drop_unused(within: Transaction, staging_schema: str) -> None:
    """Drops the types that nothing uses any more. Repeatable."""
    schema = types_schema(staging_schema)
    for unused, domain in within.rows(_UNUSED, schema):
        within.execute(
            compose(
                "drop {kind} {type}",
                kind=compose("domain" if domain else "type"),
                type=table(TableName(schema, unused)),
            )
        )


def _last(found: Sequence[Manifest]) -> str:
    return next(m.definitions for m in reversed(found) if m.definitions)


def _set_aside(within: Transaction, schema: str, old: str, held: Mapping[str, HeldType]) -> None:
    number = next(n for n in range(len(held) + 1) if _older(old, n) not in held)
    aside = TableName(schema, _older(old, number))
    within.execute(
        compose(
            "alter type {type} rename to {name}",
            type=table(TableName(schema, old)),
            name=name(aside.name),
        )
    )
    within.execute(compose("comment on type {type} is null", type=table(aside)))


def _older(old: str, number: int) -> str:
    return shortened(old, of=f"older {number}")
