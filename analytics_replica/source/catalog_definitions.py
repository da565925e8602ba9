"""What a catalog says of published tables beyond their columns: comments, indexes, user types.

Here: the query, for production's one catalog read and for physical copies, and its result. Not
here: what of it may be stored (landing.definitions), what staging makes of it (staging).

It asks for no default, no check, no expression and no predicate: these may quote values. Of a
column that the publication does not name it asks nothing.
"""

from __future__ import annotations

from typing import Any, Final

from analytics_replica.domain.definitions import Definitions
from analytics_replica.postgres.connect import Connection
from analytics_replica.source.publications import inserts_name

READ_DEFINITIONS: Final = """
-- the published columns with their comments, the indexes over plain columns with the default
-- operators of their types, and every type that somebody created and a column uses; catalogs only
with recursive published as (
    select distinct on (c.oid, a.attnum)
           n.nspname, c.relname, c.oid as table_oid, a.attname, a.attnum, a.atttypid
    from pg_publication p
    join pg_publication_rel m on m.prpubid = p.oid
    join pg_class c on c.oid = m.prrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where p.pubname in (%(publication)s, %(inserts)s)
      and case when to_jsonb(m) ->> 'prattrs' is null then a.attgenerated = ''
               else to_jsonb(m) -> 'prattrs' @> to_jsonb(a.attnum) end
), used (oid) as (
    select atttypid from published
    union
    select case when t.typtype = 'd' then t.typbasetype when t.typtype = 'r' then r.rngsubtype
                else e.oid end
    from used u
    join pg_type t on t.oid = u.oid
    left join pg_type e on e.typarray = t.oid
    left join pg_range r on r.rngtypid = t.oid
    where t.typtype in ('d', 'r') or e.oid is not null
), described as (
    select t.oid, n.nspname, t.typname,
           case when e.oid is not null then 'a' else t.typtype::text end as kind,
           coalesce(e.oid, r.rngsubtype, t.typbasetype) as of, t.typtypmod
    from used u
    join pg_type t on t.oid = u.oid
    join pg_namespace n on n.oid = t.typnamespace
    left join pg_type e on e.typarray = t.oid
    left join pg_range r on r.rngtypid = t.oid
    left join pg_opclass o on o.oid = r.rngsubopc
    where n.nspname <> 'pg_catalog'
      -- a range with an order or a form of its own would read other values than production's
      and (t.typtype in ('e', 'd') or e.typtype in ('e', 'd', 'r')
           or r.rngcanonical = 0 and r.rngcollation = 0 and o.opcdefault)
), indexed as (
    select i.indrelid, x.relname, am.amname, k.columns, k.include
    from pg_index i
    join pg_class x on x.oid = i.indexrelid
    join pg_am am on am.oid = x.relam
    cross join lateral (
        select json_agg(json_build_object('name', a.attname, 'descending', u.opt & 1 = 1,
                   'nulls_first', u.opt & 2 = 2) order by u.place)
                   filter (where u.place <= i.indnkeyatts) as columns,
               coalesce(json_agg(a.attname order by u.place)
                   filter (where u.place > i.indnkeyatts), '[]') as include,
               bool_and(u.place > i.indnkeyatts or coalesce(o.opcdefault
                   and o.opcnamespace = 11 and u.collated = a.attcollation, false)) as plain
        from unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[], i.indoption::int2[])
             with ordinality as u (attnum, opclass, collated, opt, place)
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
        left join pg_opclass o on o.oid = u.opclass) k
    where i.indrelid in (select table_oid from published)
      and i.indisvalid and not i.indisprimary and not i.indisexclusion
      and i.indexprs is null and i.indpred is null and k.plain
      and am.amname in ('btree', 'hash', 'gin', 'gist', 'brin')
)
select json_build_object(
    'tables', (select coalesce(json_agg(t.body order by t.nspname, t.relname), '[]') from (
        select p.nspname, p.relname, json_build_object(
            'table', json_build_object('schema', p.nspname, 'name', p.relname),
            'oid', p.table_oid::bigint,
            'comment', coalesce((select d.description from pg_description d where
                d.objoid = p.table_oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0),
                ''),
            'columns', json_agg(json_build_object('name', p.attname,
                'type_oid', p.atttypid::bigint, 'comment', coalesce((select d.description
                    from pg_description d where d.objoid = p.table_oid
                    and d.classoid = 'pg_class'::regclass and d.objsubid = p.attnum), ''))
                order by p.attnum),
            'indexes', (select coalesce(json_agg(json_build_object('name', x.relname,
                'method', x.amname, 'columns', x.columns, 'include', x.include)
                order by x.relname), '[]') from indexed x where x.indrelid = p.table_oid)) as body
        from published p group by p.nspname, p.relname, p.table_oid) t),
    'types', (select coalesce(json_agg(json_build_object(
        'oid', d.oid::bigint,
        'name', json_build_object('schema', d.nspname, 'name', d.typname),
        'kind', d.kind,
        'labels', (select coalesce(json_agg(json_build_object('oid', l.oid::bigint,
            'text', l.enumlabel, 'former', json_build_array()) order by l.enumsortorder), '[]')
            from pg_enum l where l.enumtypid = d.oid),
        'of', json_build_array(d.of::bigint,
            case when d.kind = 'd' then d.typtypmod else -1 end)) order by d.oid), '[]')
        from described d))
"""


def definitions_from_row(row: dict[str, Any] | None) -> Definitions:
    """The definitions in the value that READ_DEFINITIONS gives."""
    return Definitions() if row is None else Definitions.of_body(row)


def definitions_of_copy(copy: Connection, publication: str) -> Definitions:
    """The definitions in the catalog of a physical copy."""
    with copy.cursor() as cursor:
        names = {"publication": publication, "inserts": inserts_name(publication)}
        cursor.execute(READ_DEFINITIONS, names)
        row = cursor.fetchone()
    return definitions_from_row(row[0] if row else None)
