"""Tables without a key: exact multisets, by net counts of equal rows.

Here: how many copies of each row the events add or remove, and bringing staging there. Not here:
keyed tables (merge.py).

Two rows are equal if all their columns print equally; after masks that is all that staging knows.
"""

from __future__ import annotations

from typing import Final

from analytics_replica.postgres.identifiers import compose, join, table, name
from analytics_replica.staging.compact import Events, any_of, column, columns_of
from analytics_replica.staging.incoming import drop_incoming, load_incoming, load_rows, received
from analytics_replica.staging.merge import Changes
from analytics_replica.staging.plans import Plan
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.warehouse import Transaction

_NET: Final = """
-- each different row with the copies that these events leave: more, or fewer than before
create or replace temp table net as
select {columns}, count_if(op <> 'd') - count_if(op = 'd') as copies,
       coalesce(max(lsn) filter (where op <> 'd'), max(lsn)) as lsn,
       arg_max(committed_at, at) filter (where op <> 'd') as committed_at
from events
group by {columns} {signs}
having copies <> 0
"""

_ADDED: Final = """(
    select net.*, true as counted
    from net, range(copies) where copies > 0
)"""

_REMOVED: Final = """(
    select net.*, true as counted
    from net, range(-copies) where copies < 0
)"""

_DELETE: Final = """
-- as many copies of each row as were deleted, whichever they are: they are equal
delete from {table}
where ctid = any(array(
    select held.ctid
    from (
        select s.ctid, row_number() over (partition by row({held})::text) as number,
               row({held})::text as image
        from {table} s
    ) held
    join (
        select row({received})::text as image, count(*) as copies
        from pg_temp.incoming i
        group by 1
    ) gone on gone.image = held.image and held.number <= gone.copies
))
"""
