"""Comparing a rebuilt table with staging's: exact, computed by PostgreSQL, in one snapshot.

Here: the queries, for tables with a key and without one. Not here: which tables, and when both are
at the same position (rebuild.py); staging against production (reconcile.py).

Two rows are equal if all columns of production print equally; our own columns may differ, for they
tell which change of several equal ones touched the row. Values that are named are masked, as
staging has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analytics_replica.domain.batches import COMMITTED_AT, LSN, RESERVED_PREFIX
from analytics_replica.domain.tables import Table, TableName
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import Sql, compose, join, name, number, table
from analytics_replica.staging.deleted import DELETED_AT, DELETED_LSN, living

SHOWN_KEYS: Final = 20
_OWN: Final = (LSN, COMMITTED_AT, DELETED_AT, DELETED_LSN)

_BY_KEY: Final = """
-- rows that one of the two does not have, or has with other values
with differing as (
    select case when held.{own} is null then 'only rebuilt'
                when made.{own} is null then 'only in staging' else 'differs' end as how,
           {keys} as keys
    from (select true as {own}, * from {held} living) held
    full join (select true as {own}, * from {made} living) made on {same_key}
    where held.{own} is null or made.{own} is null
       or (row({held_images})::record *<> row({made_images})::record
           and row({held_values})::text <> row({made_values})::text)
)
"""

_BY_ROW: Final = """
-- rows of which one of the two has more copies
with counted as (
    select image, sum(held) as held
    from (
        select row({held_values})::text as image, 1 as held from {held} held
        union all
        select row({made_values})::text, -1 from {made} made
    ) rows
    group by image
    having sum(held) <> 0
), differing as (
    select case when held > 0 then 'only in staging' else 'only rebuilt' end as how,
           null::text[] as keys, abs(held) as copies
    from counted
)
"""

_COUNT_KEYS: Final = "{differing} select how, count(*) from differing group by how"

_COUNT_ROWS: Final = "{differing} select how, sum(copies)::bigint from differing group by how"

_SHOW: Final = "{differing} select keys, how from differing order by keys, how limit {shown}"


@dataclass(frozen=True, slots=True)
class Difference:
    """How a table of staging differs from the rebuilt one.

    Rows: how many each has, how many only one of them has, how many have other values under the
    same key. `columns` names those that only one has, or has with another type. `keys` are up to
    SHOWN_KEYS of the rows' keys with what is wrong; none for a table without a key.
    """

    rows_staging: int
    rows_rebuilt: int
    only_in_staging: int = 0
    only_rebuilt: int = 0
    other_values: int = 0
    columns: tuple[str, ...] = ()
    keys: tuple[tuple[tuple[str, ...], str], ...] = ()

    @property
    def equal(self) -> bool:
        """True if both have the same columns and the same rows."""
        return not self.columns and self.differing == 0 and self.rows_staging == self.rows_rebuilt

    @property
    def differing(self) -> int:
        """Rows that are not the same in both."""
        return self.only_in_staging + self.only_rebuilt + self.other_values


def compare(conn: Connection, held: TableName, made: TableName) -> Difference:
    """How `held`, staging's table, differs from `made`, as this connection's snapshot has them.

    A table that staging does not have has no rows there.
    """
    found = read_tables(conn, {held, made})
    rebuilt = found[made]
    if held not in found:
        rows = _count(conn, rebuilt)
        return Difference(0, rows, only_rebuilt=rows, columns=tuple(_types(rebuilt)))
    query, count = _differing(found[held], rebuilt)
    counts: Mapping[str, int] = dict(_rows(conn, compose(count, differing=query)))
    keys: tuple[tuple[tuple[str, ...], str], ...] = ()
    if counts and count is _COUNT_KEYS:
        show = compose(_SHOW, differing=query, shown=number(SHOWN_KEYS))
        keys = tuple((tuple(key), how) for key, how in _rows(conn, show))
    return Difference(
        _count(conn, found[held]),
        _count(conn, rebuilt),
        counts.get("only in staging", 0),
        counts.get("only rebuilt", 0),
        counts.get("differs", 0),
        tuple(_other_columns(found[held], rebuilt)),
        keys,
    )


def _differing(held: Table, made: Table) -> tuple[Sql, str]:
    """The rows that differ as the relation `differing`, and how to count them."""
    types, others = _types(held), _types(made)
    common = [column for column in others if column in types]
    relations = {"held": _living(held), "made": _living(made)}
    values = {
        "held_values": _listed("held", common),
        "made_values": _listed("made", common),
    }
    key = [column.name for column in made.key]
    if not key or key != [column.name for column in held.key]:
        return compose(_BY_ROW, **relations, **values), _COUNT_ROWS
    cast = {column for column in common if types[column] != others[column]}
    query = compose(
        _BY_KEY,
        own=name(RESERVED_PREFIX + "own"),
        **relations,
        **values,
        held_images=_listed("held", common, cast),
        made_images=_listed("made", common, cast),
        keys=_keys(key),
        same_key=_same_key(key, cast),
    )
    return query, _COUNT_KEYS


def _keys(key: Sequence[str]) -> Sql:
    texts = (
        compose("coalesce(held.{column}::text, made.{column}::text)", column=name(column))
        for column in key
    )
    return compose("array[{texts}]", texts=join(", ", texts))


def _same_key(key: Sequence[str], cast: set[str]) -> Sql:
    pairs = (
        compose(
            "{held} = {made}",
            held=_listed("held", [column], cast),
            made=_listed("made", [column], cast),
        )
        for column in key
    )
    return join(" and ", pairs)


def _listed(of: str, columns: Sequence[str], cast: set[str] | frozenset[str] = frozenset()) -> Sql:
    parts = (
        compose(
            "{of}.{column}::text" if column in cast else "{of}.{column}",
            of=name(of),
            column=name(column),
        )
        for column in columns
    )
    return join(", ", parts)


def _types(described: Table) -> dict[str, str]:
    return {c.name: c.type_name for c in described.columns if c.name not in _OWN}


def _other_columns(held: Table, made: Table) -> list[str]:
    types, others = _types(held), _types(made)
    return sorted(c for c in {*types, *others} if types.get(c) != others.get(c))


def _living(of: Table) -> Sql:
    """The rows that live in production: those that were kept go back as far as landing does."""
    keeps = any(c.name == DELETED_LSN for c in of.columns)
    every = {"table": table(of.name), "living": living(keeps=keeps)}
    return compose("(select * from {table} where {living})", **every)


def _count(conn: Connection, of: Table) -> int:
    query = compose("select count(*) from {living} living", living=_living(of))
    return int(_rows(conn, query)[0][0])


def _rows(conn: Connection, query: Sql) -> list[tuple[Any, ...]]:
    with conn.cursor() as cursor:
        cursor.execute(query.text)
        return list(cursor.fetchall())
