"""Which events of a window stand for the rows that are left of it.

Here: the table `chosen`, for keyed tables and those without a key. Not here: writing these rows
(survivors.py), last states (compact.py), values that were not logged (lineage.py).
"""

from __future__ import annotations

from typing import Final

from analytics_replica.postgres.identifiers import compose, join
from analytics_replica.staging.compact import Events, any_of, column, find_latest
from analytics_replica.staging.lineage import make_states_with_lineage
from analytics_replica.staging.multiset import count_copies
from analytics_replica.staging.quarantine import quarantined

_EVERY: Final = """
-- every event is a row that is left
create or replace temp table chosen as
select place, 1::bigint as copies {supplies} from events
"""

_COPIES: Final = """
-- of equal rows one stands for all
create or replace temp table chosen as
select place, copies {supplies} from net where copies > 0
"""

_LAST: Final = """
-- the last event of each key that is left
create or replace temp table chosen as
select place, 1::bigint as copies {supplies} from latest where live
"""

_SUPPLIED: Final = """
-- the same; p… is the event that has the value which the last one did not log
create or replace temp table chosen as
select l.place, 1::bigint as copies {supplies}
from latest l
left join wanted w using (place)
left join (
    select o.origin {supplied}
    from events e join steps s using (place) join origins o using (life)
    where e.op in ('i', 'u', 'm') and o.origin in (select origin from wanted)
    group by o.origin
) k on k.origin = w.origin
where l.live
"""


def choose(events: Events) -> bool:
    """Makes the table `chosen`: place, copies, and p…, the event that has an unchanged value.

    True if a row may stand for several, which then need numbers of their own. TableQuarantined if
    the events cannot be replayed.
    """
    bench, window = events.bench, events.window
    none = join("", (compose(", null::hugeint as {p}", p=column(i, "p")) for i in events.flagged))
    if window.inserts_only:
        bench.execute(compose(_EVERY, supplies=none))
        return False
    if not events.key:
        if removed := count_copies(events):
            raise quarantined(window.table, f"{removed} rows were deleted that landing never had")
        bench.execute(compose(_COPIES, supplies=none))
        return True
    find_latest(events)
    if not window.unchanged:
        bench.execute(compose(_LAST, supplies=none))
        return False
    make_states_with_lineage(events)
    supplied = (
        compose(
            ", max(e.place) filter (where not e.{u}) as {p}", u=column(i, "u"), p=column(i, "p")
        )
        for i in events.flagged
    )
    supplies = (compose(", k.{p}", p=column(i, "p")) for i in events.flagged)
    bench.execute(compose(_SUPPLIED, supplies=join("", supplies), supplied=join("", supplied)))
    lost = bench.scalar(
        compose(
            "select count(*) from states where live and ({lacks}) and lost",
            lacks=any_of(events.flagged, "u"),
        )
    )
    if lost:
        raise quarantined(window.table, f"{lost} rows have a value that landing never had")
    return False
