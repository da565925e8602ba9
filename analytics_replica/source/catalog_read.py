"""The one statement that capture runs on production.

Here: its text. Not here: who sends it (replication.py), what its row means (slot.py,
publications.py).
"""

from __future__ import annotations

from typing import Final

from analytics_replica.source.catalog_definitions import READ_DEFINITIONS
from analytics_replica.source.catalog_tables import READ_TABLES

READ_STATE: Final = f"""
-- the slot, the publications with their tables, columns and partitions, and the settings that
-- matter; catalogs only (as jsonb where a column exists in some versions only), one row, and no
-- lock on any table of production: what functions that name tables would take is not used
select json_build_object(
    'wal_level', current_setting('wal_level'),
    'server_version', current_setting('server_version_num')::int,
    'database', current_database(),
    'in_recovery', pg_is_in_recovery(),
    'standby_feedback', current_setting('hot_standby_feedback')::bool,
    'inserted', case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                     else pg_current_wal_insert_lsn() end,
    'writer_delay_ms', (select setting::bigint from pg_settings where name = 'wal_writer_delay'),
    'segment_bytes', (select setting::bigint from pg_settings where name = 'wal_segment_size'),
    'slot', (
        select json_build_object(
            'plugin', s.plugin, 'database', s.database, 'active_pid', s.active_pid,
            'restart_lsn', s.restart_lsn, 'confirmed_lsn', s.confirmed_flush_lsn,
            'wal_status', s.wal_status, 'safe_wal_bytes', s.safe_wal_size,
            'failover', to_jsonb(s) -> 'failover',
            'invalidation_reason', to_jsonb(s) ->> 'invalidation_reason')
        from pg_replication_slots s where s.slot_name = %(slot)s),
    'publications', (
        select json_agg(json_build_object('name', p.pubname, 'oid', p.oid::bigint,
            'all_tables', p.puballtables, 'via_root', p.pubviaroot,
            'operations', array[p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate],
            'schemas', (select count(*) from pg_depend d
                where d.classid = to_regclass('pg_catalog.pg_publication_namespace')
                  and d.refclassid = 'pg_catalog.pg_publication'::regclass
                  and d.refobjid = p.oid),
            'comment', obj_description(p.oid, 'pg_publication')))
        from pg_publication p where p.pubname in (%(publication)s, %(inserts)s)),
    'members', (
        select json_agg(json_build_object(
            'publication', p.pubname, 'options', p.xmin::text,
            'entry', m.oid::bigint, 'relation', c.oid::bigint,
            'schema', n.nspname, 'table', c.relname, 'kind', c.relkind,
            'is_partition', c.relispartition,
            'filtered', to_jsonb(m) ->> 'prqual' is not null,
            'has_children', c.relkind = 'r'
                and exists (select from pg_inherits i where i.inhparent = c.oid),
            'columns', (
                select json_agg(a.attname order by a.attnum) from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                  and case when to_jsonb(m) ->> 'prattrs' is null then a.attgenerated = ''
                           else to_jsonb(m) -> 'prattrs' @> to_jsonb(a.attnum) end),
            'parts', tree.parts, 'blocks_writes', p.pubupdate and tree.blocks_writes)
            order by n.nspname, c.relname, p.pubname)
        from pg_publication p
        join pg_publication_rel m on m.prpubid = p.oid
        join pg_class c on c.oid = m.prrelid
        join pg_namespace n on n.oid = c.relnamespace
        cross join lateral (
            with recursive part (oid, attached) as (
                select c.oid, false
                union all
                -- made as a partition: its entry here was written by the same command
                select i.inhrelid, a.xmin <> i.xmin
                    or i.cmin::text::int - a.cmin::text::int not between 0 and 3
                from part join pg_inherits i on i.inhparent = part.oid and c.relkind = 'p'
                join pg_attribute a on a.attrelid = i.inhrelid and a.attnum = -1)
            select json_agg(json_build_array(k.oid::bigint, k.relfilenode::bigint, k.xmin::text,
                       part.attached) order by k.oid) filter (where k.oid <> c.oid) as parts,
                   bool_or(k.relkind = 'r' and case
                       when k.relreplident = 'f' then to_jsonb(m) ->> 'prattrs' is not null
                       else not exists (
                           select from pg_index x where x.indrelid = k.oid
                             and x.indimmediate and x.indisvalid
                             and case k.relreplident when 'd' then x.indisprimary
                                                     when 'i' then x.indisreplident end
                             and not exists (
                                 select from pg_attribute a
                                 join pg_attribute r on r.attname = a.attname
                                     and r.attrelid = c.oid
                                 where a.attrelid = k.oid and a.attnum = any (x.indkey)
                                   and to_jsonb(m) ->> 'prattrs' is not null
                                   and not to_jsonb(m) -> 'prattrs' @> to_jsonb(r.attnum)))
                       end) as blocks_writes
            from part join pg_class k on k.oid = part.oid) tree
        where p.pubname in (%(publication)s, %(inserts)s)),
    'catalog', ({READ_TABLES}),
    'definitions', ({READ_DEFINITIONS}))
"""
