"""Indexes of staging's tables after production's: where production found one useful, so may we.

Here: which indexes a table gets, under which names, and making and dropping them. Not here: the
primary key, which is staging's own (ddl.py), what production has (landing.definitions).

All are plain: that production's unique columns are unique, production has proven; an apply brings
rows one after the other, in states that production never had. Each says in its comment what it was
made after, so that an index of somebody else is never touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from analytics_replica.domain.definitions import Index, IndexColumn, TableDefinition
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.identifiers import Sql, compose, join, literal, name, names, table
from analytics_replica.staging.ddl import HeldTable
from analytics_replica.staging.user_types import TEXT, shortened
from analytics_replica.staging.warehouse import StatementRefused, Transaction

_HELD: Final = """
-- every relation of a schema; of an index its table and its comment
select c.relname::text, t.relname::text, obj_description(c.oid, 'pg_class')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indexrelid = c.oid
left join pg_class t on t.oid = i.indrelid
where n.nspname = $1
order by t.relname
"""

_OURS: Final = "analytics-replica made it after production's index "
_BY_EQUALITY: Final = frozenset({"btree", "hash"})
_TEXT_OID: Final = 25
_REFUSED: Final = frozenset({"0A000", "42704", "54000"})
"""What says that an index cannot be made here: no operators for the type, or a row too large."""


@dataclass(frozen=True)
class _Wanted:
    """An index that a table is to have. `says` is its comment: equal comments, equal indexes."""

    index: Index
    says: str


def follow_indexes(
    within: Transaction,
    schema: str,
    tables: Mapping[str, TableDefinition],
    held: Mapping[str, HeldTable],
    reserved: Collection[str],
) -> None:
    """Gives these tables of the schema production's indexes. Repeatable.

    `held` are all tables of the schema; `reserved` are names that tables may get later. An index
    that the warehouse cannot make (no operators for a text, a row too large) is left out.
    """
    rows = within.rows(_HELD, schema)
    taken = {row[0] for row in rows} | set(reserved)
    present: dict[str, dict[str, str]] = {}
    for of, found in groupby(rows, key=lambda row: row[1]):
        ours = {row[2]: row[0] for row in found if (row[2] or "").startswith(_OURS)}
        present[of or ""] = ours
    for staging_name, definition in tables.items():
        if staging_name not in held:
            continue
        target = TableName(schema, staging_name)
        wanted = {w.says: w for w in _wanted(definition, held[staging_name])}
        there = present.get(staging_name, {})
        for says, index_name in there.items():
            if says not in wanted:
                drop = compose("drop index {name}", name=table(TableName(schema, index_name)))
                within.execute(drop)
                taken.discard(index_name)
        for says, index in wanted.items():
            if says not in there:
                chosen = _free(index.index.name, definition.table, taken)
                if _made(within, target, index, chosen):
                    taken.add(chosen)


def _wanted(definition: TableDefinition, held: HeldTable) -> Iterator[_Wanted]:
    oids = {column.name: column.type_oid for column in definition.columns}
    seen = {(("btree", *held.key), ())}
    for index in definition.indexes:
        plain = not any(c.descending or c.nulls_first for c in index.columns)
        like = ((index.method, *(c.name for c in index.columns)), index.include)
        if not all(n in held.columns and n in oids for n in index.names) or (
            plain and like in seen and index.method == "btree"
        ):
            continue
        as_text = any(
            held.columns[c.name] == TEXT and oids[c.name] != _TEXT_OID for c in index.columns
        )
        if index.method in _BY_EQUALITY or not as_text:
            of = TableName(definition.table.schema, index.name)
            yield _Wanted(index, f"{_OURS}{of}: {_body(index)}.")


def _made(within: Transaction, target: TableName, wanted: _Wanted, chosen: str) -> bool:
    """Makes the index; False, with nothing changed, if the warehouse cannot."""
    index = wanted.index
    within.execute("savepoint before_index")
    try:
        within.execute(
            compose(
                "create index {name} on {table} {body}",
                name=name(chosen),
                table=table(target),
                body=_body(index),
            )
        )
    except StatementRefused as cause:
        if cause.sqlstate not in _REFUSED:
            raise
        within.execute("rollback to savepoint before_index")
        return False
    within.execute(
        compose(
            "comment on index {name} is {text}",
            name=table(TableName(target.schema, chosen)),
            text=literal(wanted.says),
        )
    )
    within.execute("release savepoint before_index")
    return True


def _body(index: Index) -> Sql:
    body = compose(
        "using {method} ({columns})",
        method=name(index.method),
        columns=join(", ", map(_column, index.columns)),
    )
    if not index.include:
        return body
    return compose("{body} include ({columns})", body=body, columns=names(index.include))


def _column(column: IndexColumn) -> Sql:
    order = " desc" if column.descending else ""
    if column.nulls_first != column.descending:
        order += " nulls first" if column.nulls_first else " nulls last"
    return compose("{name}{order}", name=name(column.name), order=compose(order))


def _free(wanted: str, of: TableName, taken: Collection[str]) -> str:
    """The index's name in production, or that with a digest if it is taken."""
    return wanted if wanted not in taken else shortened(wanted, of=str(of))
