"""What PostgreSQL's catalog says about tables.

Here: reading tables, columns, keys and identities from a server that may be queried: a physical
copy, a staging system, the warehouse. Never production: capture learns its tables from the log
and the first copy. Not here: types (types.py).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

from analytics_replica.domain.tables import Column, Identity, Table, TableName
from analytics_replica.postgres.connect import Connection

_TABLES = """
-- every ordinary or partitioned table (partitions belong to their root), its columns in order and
-- whether each is part of what identifies a row: the replica identity index if one was chosen,
-- else the primary key; a deferrable one may be violated inside a transaction, so it is none; of
-- the generated columns those that a publication names, which PostgreSQL allows from 18 on
select n.nspname, c.relname, c.relreplident::text, c.oid::bigint,
       a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
       a.attnum = any(coalesce(i.indkey::int2[], '{}')), not a.attnotnull
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join lateral (
    select indkey from pg_index
    where indrelid = c.oid and (indisreplident or indisprimary) and indimmediate and indisvalid
    order by (c.relreplident = 'i' and indisreplident) desc, indisprimary desc
    limit 1
) i on true
where c.relkind in ('r', 'p') and not c.relispartition
  and (a.attgenerated = '' or exists (
      select from pg_publication_rel m
      where m.prrelid = c.oid and to_jsonb(m) -> 'prattrs' @> to_jsonb(a.attnum)))
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%%'
  and c.relpersistence = 'p'
order by n.nspname, c.relname, a.attnum
"""


def read_tables(
    connection: Connection, wanted: Collection[TableName] | None = None
) -> dict[TableName, Table]:
    """The tables of this database as they are now; only the `wanted` ones if given.

    Type names are PostgreSQL's own spelling with schema where it is not pg_catalog. Generated
    columns are left out unless a publication names them: otherwise production does not log them. A
    name that does not exist is not in the result.
    """
    with connection.cursor() as cursor:
        cursor.execute("set local search_path = pg_catalog")
        cursor.execute(_TABLES)
        rows = cursor.fetchall()
    found: dict[TableName, Table] = {}
    for (schema, name, identity, oid), columns in groupby(rows, key=lambda row: row[:4]):
        table = TableName(schema, name)
        if wanted is None or table in wanted:
            described = tuple(Column(*c[4:]) for c in columns)
            found[table] = Table(table, described, Identity(identity), oid)
    return found
