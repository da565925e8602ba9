"""Staging's side: a table in one snapshot with the ledger, summed by PostgreSQL in one pass.

Here: opening the snapshot, what the catalog says of the columns, the statements. Not here: what is
compared with it (comparison.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg2
import psycopg2.errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from analytics_replica.domain.batches import COMMITTED_AT, LSN
from analytics_replica.domain.lsn import ZERO
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection, connect, refused
from analytics_replica.postgres.identifiers import Sql, compose, join, name, number
from analytics_replica.postgres.identifiers import table as table_sql
from analytics_replica.staging import ledger
from analytics_replica.staging.deleted import DELETED_AT, DELETED_LSN, living
from analytics_replica.staging.ledger import AppliedTable
from analytics_replica.staging.reconciliation.cells import HeldColumn
from analytics_replica.staging.reconciliation.lookup3 import Hashes
from analytics_replica.staging.reconciliation.sums import MODULUS, PARTS, Plan

_OWN: Final = (LSN, COMMITTED_AT, DELETED_AT, DELETED_LSN)

APPLICATION: Final = "analytics-replica reconcile"

_COLUMNS: Final = """
-- the columns of a table: type, the type's own name, the function that prints it, place in the key
select a.attname::text, format_type(a.atttypid, a.atttypmod), tn.nspname::text, t.typname::text,
       pn.nspname::text, p.proname::text, array_position(i.indkey::int2[], a.attnum)
from pg_attribute a
join pg_type t on t.oid = a.atttypid
join pg_namespace tn on tn.oid = t.typnamespace
join pg_proc p on p.oid = t.typoutput
join pg_namespace pn on pn.oid = p.pronamespace
left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""

_KEYED: Final = """
(
    select {columns}, hashint4extended(0, {joined}) as k
    from (select {values} from {table} where {living} offset null) r
    offset null -- else the planner would compute the key's hash again for every column
) s
"""

_KEYLESS: Final = """
(
    select h.*, hashint4extended(0, {joined}) as k
    from (select {cells} from {table} r offset null) h
    offset null
) s
"""


@dataclass(frozen=True)
class Held:
    """A staging table as one snapshot shows it, and what the ledger says in the same snapshot.

    It has no columns if it does not exist.
    """

    connection: Connection
    source: TableName
    target: TableName
    known: AppliedTable
    columns: tuple[HeldColumn, ...]
    key: tuple[str, ...]
    keeps: bool
    """Whether rows stay that production deleted; those are not compared."""

    @property
    def plan(self) -> Plan:
        """What is summed of it."""
        if not self.key:
            return Plan(self.columns, self.columns, keyed=False)
        naming = tuple(next(c for c in self.columns if c.name == n) for n in self.key)
        return Plan(naming, tuple(c for c in self.columns if c.name not in self.key), keyed=True)

    def totals(self, plan: Plan, left_out: Hashes) -> list[int]:
        """The number of rows, then the sum of the names and of each compared column: one pass."""
        query = compose(
            "select {sums} from {rows} where {counts}",
            sums=_sums(self, plan),
            rows=_rows(self, plan),
            counts=_counts(left_out),
        )
        return _as_sums(self._run(query)[0])

    def parts(self, plan: Plan, left_out: Hashes) -> dict[int, list[int]]:
        """The same for every part that has rows."""
        query = compose(
            "select s.k & {mask}, {sums} from {rows} where {counts} group by 1",
            mask=number(PARTS - 1),
            sums=_sums(self, plan),
            rows=_rows(self, plan),
            counts=_counts(left_out),
        )
        return {row[0]: _as_sums(row[1:]) for row in self._run(query)}

    def rows_of(
        self, plan: Plan, parts: Sequence[int], left_out: Hashes
    ) -> list[tuple[int, int, list[int], list[str]]]:
        """The rows of these parts: name, copies, cells' numbers, the key as texts.

        Without a key equal rows are one, with the number of their copies, and have no cells.
        """
        kept = compose("s.k & {mask} = any({parts})", mask=number(PARTS - 1), parts=_array(parts))
        condition = compose("{kept} and {counts}", kept=kept, counts=_counts(left_out))
        rows = _rows(self, plan)
        if not plan.keyed:
            query = compose(
                "select s.k, count(*) from {rows} where {condition} group by 1",
                rows=rows,
                condition=condition,
            )
            return [(k % MODULUS, n, [], []) for k, n in self._run(query)]
        place = {c.name: i for i, c in enumerate(self.columns)}
        texts = [c.printed(compose("s.{c}", c=_label("c", place[c.name]))) for c in plan.naming]
        query = compose(
            "select s.k, array[{cells}]::bigint[], array[{texts}]::text[] "
            "from {rows} where {condition}",
            cells=join(", ", _cells(self, plan)),
            texts=join(", ", texts),
            rows=rows,
            condition=condition,
        )
        return [
            (k % MODULUS, 1, [(c or 0) % MODULUS for c in cells], texts_)
            for k, cells, texts_ in self._run(query)
        ]

    def _run(self, query: Sql) -> list[tuple[Any, ...]]:
        # Without parameters psycopg2 leaves a % in names alone.
        with self.connection.cursor() as cursor:
            cursor.execute(query.text)
            return list(cursor.fetchall())


@contextlib.contextmanager
def holding(dsn: str, source: TableName, target: TableName) -> Iterator[Held]:
    """The table and the ledger in one snapshot, until the block ends.

    Nothing is written. An apply may go on meanwhile; only one that must alter this table waits.
    """
    opened = connect(dsn, application=APPLICATION, options="-c search_path=pg_catalog")
    try:
        opened.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with opened:
            _lock(opened, target)
            yield _held(opened, source, target)
    except psycopg2.Error as cause:
        raise refused(cause, f"reading {target}") from None
    finally:
        opened.close()


def _lock(opened: Connection, target: TableName) -> None:
    """Waits for whoever alters the table. The snapshot is taken after that, by the next query."""
    lock = compose("lock table {table} in access share mode", table=table_sql(target))
    try:
        with opened.cursor() as cursor:
            cursor.execute(lock.text)
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
        opened.rollback()


def _held(opened: Connection, source: TableName, target: TableName) -> Held:
    new = AppliedTable(source, target.name, 0, ZERO)
    known = ledger.read(opened).tables.get(source, new)
    with opened.cursor() as cursor:
        cursor.execute(_COLUMNS, (table_sql(target).text,))
        found = list(cursor.fetchall())
    rows = [row for row in found if row[0] not in _OWN]
    columns = tuple(
        HeldColumn(
            row[0], row[1], TableName(*row[2:4]), TableName(*row[4:6]), opened.server_version
        )
        for row in rows
    )
    placed = sorted((place, label) for label, *_, place in rows if place is not None)
    key = tuple(label for _, label in placed)
    keeps = any(row[0] == DELETED_LSN for row in found)
    return Held(opened, source, target, known, columns, key, keeps)


def _rows(held: Held, plan: Plan) -> Sql:
    """The table's rows as the relation s: the name k, and c… (keyed) or the cells' numbers h…."""
    columns = held.columns
    joined = join(" # ", (_named(plan, columns, c, i) for i, c in enumerate(plan.naming)))
    if plan.keyed:
        values = (
            compose("{c} as {label}", c=name(c.name), label=_label("c", i))
            for i, c in enumerate(columns)
        )
        return compose(
            _KEYED,
            columns=join(", ", (_label("c", i) for i in range(len(columns)))),
            joined=joined,
            values=join(", ", values),
            table=table_sql(held.target),
            living=living(keeps=held.keeps),
        )
    cells = (
        compose(
            "{hashed} as {label}",
            hashed=c.hashed(compose("r.{c}", c=name(c.name)), number(i + 1)),
            label=_label("h", i),
        )
        for i, c in enumerate(plan.compared)
    )
    return compose(_KEYLESS, cells=join(", ", cells), joined=joined, table=table_sql(held.target))


def _named(plan: Plan, columns: Sequence[HeldColumn], column: HeldColumn, position: int) -> Sql:
    if not plan.keyed:
        return compose("coalesce({h}, 0)", h=_label("h", position))
    return column.hashed(_label("c", columns.index(column)), number(position + 1))


def _cells(held: Held, plan: Plan) -> list[Sql]:
    if not plan.keyed:
        return [compose("s.{h}", h=_label("h", i)) for i in range(len(plan.compared))]
    return [
        c.hashed(compose("s.{c}", c=_label("c", held.columns.index(c))), compose("s.k"))
        for c in plan.compared
    ]


def _sums(held: Held, plan: Plan) -> Sql:
    template = "bit_xor({cell})" if plan.keyed else "sum({cell})"
    cells = (compose(template, cell=cell) for cell in (compose("s.k"), *_cells(held, plan)))
    return compose("count(*), {sums}", sums=join(", ", cells))


def _counts(left_out: Hashes) -> Sql:
    """True for the rows that are not left out."""
    if not len(left_out):
        return compose("true")
    return compose("s.k <> all({names})", names=_array(left_out.view(np.int64).tolist()))


def _array(numbers: Sequence[int]) -> Sql:
    listed = join(",", (number(n) for n in numbers))
    return compose("'{{{listed}}}'::bigint[]", listed=listed)


def _label(prefix: str, position: int) -> Sql:
    return name(f"{prefix}{position}")


def _as_sums(row: Sequence[Any]) -> list[int]:
    # No row, or nothing but NULLs, gives NULL.
    return [int(value or 0) % MODULUS for value in row]
