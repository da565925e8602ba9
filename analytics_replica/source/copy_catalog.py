"""What a physical copy's catalog says of the tables that it is read for.

Here: which columns the publication names there, which columns are unique, which refer to which. Not
here: reading rows (physical_copy.py), what follows for the masks (masking.references). Production
itself is never asked these questions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from analytics_replica.domain.tables import Reference, Relations, TableName
from analytics_replica.postgres.connect import Connection
from analytics_replica.source.publications import inserts_name

_PUBLISHED: Final = """
-- every column that our publications name (as jsonb: PostgreSQL 14 has no column lists)
select n.nspname, c.relname, a.attname
from pg_publication p
join pg_publication_rel m on m.prpubid = p.oid
join pg_class c on c.oid = m.prrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where p.pubname in (%s, %s)
  and case when to_jsonb(m) ->> 'prattrs' is null then a.attgenerated = ''
           else to_jsonb(m) -> 'prattrs' @> to_jsonb(a.attnum) end
"""

_UNIQUE: Final = """
-- the columns of every unique index that is more than what identifies rows; an expression is none
select n.nspname, c.relname, array_agg(a.attname::text order by a.attnum)
from pg_index i
join pg_class c on c.oid = i.indrelid and c.relkind in ('r', 'p') and not c.relispartition
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid
    and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
where i.indisunique and i.indisvalid and i.indexprs is null
group by n.nspname, c.relname, i.indexrelid
order by n.nspname, c.relname, 3
"""

_REFERENCES: Final = """
-- every foreign key, column by column; those of partitions belong to their root
select cn.nspname, c.relname, ca.attname, pn.nspname, p.relname, pa.attname
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace cn on cn.oid = c.relnamespace
join pg_class p on p.oid = k.confrelid
join pg_namespace pn on pn.oid = p.relnamespace
cross join unnest(k.conkey, k.confkey) as pair (child, parent)
join pg_attribute ca on ca.attrelid = c.oid and ca.attnum = pair.child
join pg_attribute pa on pa.attrelid = p.oid and pa.attnum = pair.parent
where k.contype = 'f' and k.conparentid = 0
order by cn.nspname, c.relname, k.conname, pair.child
"""


def published_columns(copy: Connection, publication: str) -> frozenset[tuple[TableName, str]]:
    """The columns that the copy's publications name: those that the stream brings, too."""
    rows = _read(copy, _PUBLISHED, (publication, inserts_name(publication)))
    return frozenset((TableName(schema, name), column) for schema, name, column in rows)


def read_relations(copy: Connection, tables: Collection[TableName]) -> Relations:
    """What is unique in these tables, and what refers to them or what they refer to."""
    unique = [(TableName(s, n), tuple(columns)) for s, n, columns in _read(copy, _UNIQUE, ())]
    references = [
        Reference(TableName(*row[:2]), row[2], TableName(*row[3:5]), row[5])
        for row in _read(copy, _REFERENCES, ())
    ]
    return Relations(
        tuple((table, columns) for table, columns in unique if table in tables),
        tuple(r for r in references if r.table in tables or r.to in tables),
    )


def _read(copy: Connection, query: str, parameters: tuple[str, ...]) -> list[tuple[Any, ...]]:
    with copy.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
