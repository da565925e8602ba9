"""The published tables as a catalog has them: what tells a renamed one from one that was replaced.

Here: the query, for production's one catalog read and for physical copies, and its result. Not
here: whether the publication is as it should be (slot.py), what follows from a change (staging).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from analytics_replica.domain.batches import Catalog, CatalogTable
from analytics_replica.domain.lsn import Lsn
from analytics_replica.postgres.connect import Connection
from analytics_replica.source.publications import inserts_name

READ_TABLES: Final = """
-- each table of the publication with the numbers of its columns and its key; null if it has none;
-- no function that would lock a table (pg_get_publication_tables does)
select json_agg(json_build_object(
    'table', json_build_array(n.nspname, c.relname), 'oid', c.oid::bigint,
    'columns', (select json_agg(json_build_array(a.attname, a.attnum) order by a.attnum)
        from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          -- a generated column is logged only where the publication names it (from 18 on)
          and (a.attgenerated = '' or to_jsonb(m) -> 'prattrs' @> to_jsonb(a.attnum))),
    'key', (select json_agg(a.attname order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum = any((
            -- as postgres/catalog.py decides what identifies a row
            select i.indkey::int2[] from pg_index i
            where i.indrelid = c.oid and (i.indisreplident or i.indisprimary)
                and i.indimmediate and i.indisvalid
            order by (c.relreplident = 'i' and i.indisreplident) desc, i.indisprimary desc
            limit 1)::int2[]))
) order by n.nspname, c.relname)
from pg_publication p
join pg_publication_rel m on m.prpubid = p.oid
join pg_class c on c.oid = m.prrelid
join pg_namespace n on n.oid = c.relnamespace
where p.pubname in (%(publication)s, %(inserts)s)
"""


def catalog_from_row(at: Lsn, rows: Sequence[dict[str, Any]] | None) -> Catalog:
    """The catalog in the value that READ_TABLES gives."""
    return Catalog(at, tuple(CatalogTable.of_body(row) for row in rows or ()))


def catalog_of_copy(copy: Connection, at: Lsn, publication: str) -> Catalog:
    """The catalog of a physical copy that stands at this position."""
    with copy.cursor() as cursor:
        names = {"publication": publication, "inserts": inserts_name(publication)}
        cursor.execute(READ_TABLES, names)
        row = cursor.fetchone()
    return catalog_from_row(at, row[0] if row else None)
