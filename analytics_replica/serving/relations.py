"""What the catalog says about the relations of one schema of the warehouse.

Here: reading names, columns, types and comments of tables and views. Not here: what should be
there (views.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from analytics_replica.postgres.connect import Connection

_RELATIONS = """
-- tables and views of one schema with their columns in order, types as PostgreSQL spells them
-- (with the collation where it is not the type's own), and comments
select c.relname, c.relkind::text, c.oid::bigint, obj_description(c.oid, 'pg_class'), a.attname,
       format_type(a.atttypid, a.atttypmod)
           || case when a.attcollation <> t.typcollation
              then ' collate ' || a.attcollation::regcollation::text else '' end,
       col_description(c.oid, a.attnum)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where n.nspname = %s and c.relkind = any(%s)
order by c.relname, a.attnum
"""

_BEHIND = """
-- for each view of a schema, the schemas of the relations that it reads itself
select v.relname, array_agg(distinct read_schema.nspname::text)
from pg_class v
join pg_namespace n on n.oid = v.relnamespace
join pg_rewrite rule on rule.ev_class = v.oid
join pg_depend d
    on d.classid = 'pg_rewrite'::regclass and d.objid = rule.oid
    and d.refclassid = 'pg_class'::regclass and d.refobjid <> v.oid
join pg_class read on read.oid = d.refobjid
join pg_namespace read_schema on read_schema.oid = read.relnamespace
where v.relkind = 'v' and n.nspname = %s
group by v.relname
"""


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column as the catalog has it; `type_name` is `format_type`'s spelling."""

    name: str
    type_name: str
    comment: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view as the catalog has it. A rebuilt table has another `oid`."""

    name: str
    oid: int
    comment: str
    columns: tuple[RelationColumn, ...]

    @property
    def types(self) -> dict[str, str]:
        """Column name to type, in column order."""
        return {column.name: column.type_name for column in self.columns}


def tables_of(conn: Connection, schema: str) -> dict[str, Relation]:
    """The tables (also partitioned and foreign ones) of the schema by name."""
    return _read(conn, schema, ["r", "p", "f"])


def stored_in(conn: Connection, schema: str) -> dict[str, Relation]:
    """Everything in the schema that holds rows: the tables and the materialized views, by name."""
    return _read(conn, schema, ["r", "p", "f", "m"])


def views_of(conn: Connection, schema: str) -> dict[str, Relation]:
    """The views of the schema by name."""
    return _read(conn, schema, ["v"])


def schemas_behind(conn: Connection, schema: str) -> dict[str, frozenset[str]]:
    """For each view of the schema, the schemas of what it reads."""
    with conn.cursor() as cursor:
        cursor.execute(_BEHIND, (schema,))
        return {view: frozenset(read) for view, read in cursor.fetchall()}


def _read(conn: Connection, schema: str, kinds: list[str]) -> dict[str, Relation]:
    with conn.cursor() as cursor:
        cursor.execute(_RELATIONS, (schema, kinds))
        rows = cursor.fetchall()
    found = {}
    for (name, _, oid, comment), columns in groupby(rows, key=lambda row: row[:4]):
        described = tuple(RelationColumn(c[4], c[5], c[6] or "") for c in columns)
        found[name] = Relation(name, oid, comment or "", described)
    return found
