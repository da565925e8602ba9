"""Sessions of others that a publication must wait for.

Here: who holds a snapshot older than an edition, who holds a lock on a view, and waiting for them,
bounded. Not here: what is published once they are gone (publish.py).

Works without being superuser: pid, role and snapshot of every session are visible to everybody;
how long it has been there only to members of pg_read_all_stats.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analytics_replica.errors import PublishRefused
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.editions import ANALYTICS, Edition

_OLDER = """
-- transactions of other sessions of this database whose snapshot may not see the edition's rows:
-- their xmin is not younger than the last transaction that made or renamed one of its tables
with load as (
    select age(c.xmin) as made_ago
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %(edition)s and c.relkind in ('r', 'p', 'f')
    order by age(c.xmin)
    limit 1
)
select l.virtualtransaction, a.pid, a.usename, a.xact_start
from load
join pg_stat_activity a
    on a.datname = current_database() and a.pid <> pg_backend_pid() and a.usesysid is not null
    and age(a.backend_xmin) >= load.made_ago
join pg_locks l on l.pid = a.pid and l.locktype = 'virtualxid' and l.granted
-- our own connections read gold's views in no transaction that lasts
where not (a.usename = current_user and a.application_name like 'analytics-replica%%')
"""

_HOLDERS = """
-- other sessions that hold a lock on one of these relations
select distinct a.pid, a.usename, a.xact_start
from pg_locks l
join pg_class c on c.oid = l.relation
join pg_namespace n on n.oid = c.relnamespace
join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
    and l.database = (select oid from pg_database where datname = current_database())
    and n.nspname = any(%s) and c.relname = any(%s)
order by a.pid
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a publication waits for readers, and how it keeps out of their way meanwhile."""

    lock_timeout: timedelta = timedelta(milliseconds=20)
    """While we wait for a lock, every new reader waits behind us; so never longer than this."""
    snapshots: timedelta = timedelta(seconds=60)
    """For readers whose snapshot is older than the edition."""
    swap: timedelta = timedelta(seconds=60)
    """For readers that hold a lock on a view: how long we try again."""
    pause: timedelta = timedelta(milliseconds=50)
    """Between two tries, on average; each pause is a random 0.5 to 1.5 of it."""

    def rest(self) -> None:
        """Pauses, so that two who wait for each other do not meet again."""
        time.sleep(self.pause.total_seconds() * (0.5 + secrets.SystemRandom().random()))


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody else's connection, as far as we may see it."""

    pid: int
    role: str
    since: datetime | None

    def __str__(self) -> str:
        if self.since is None:
            since = "since when is visible only to members of pg_read_all_stats"
        else:
            since = f"open since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"server process {self.pid} of role {self.role}, {since}"


def older_snapshots(conn: Connection, edition: Edition) -> dict[str, Session]:
    """Sessions whose snapshot may be older than the edition's tables, by virtual transaction.

    Ends the transaction, for the server shows a transaction the same activity again and again.
    """
    with conn.cursor() as cursor:
        cursor.execute(_OLDER, {"edition": edition.value})
        rows = cursor.fetchall()
    conn.commit()
    return {transaction: Session(*who) for transaction, *who in rows}


def holders(conn: Connection, edition: Edition, views: Collection[str]) -> list[Session]:
    """Sessions with a lock on one of these views or its table now. Ends the transaction."""
    with conn.cursor() as cursor:
        cursor.execute(_HOLDERS, ([ANALYTICS, edition.value], list(views)))
        rows = cursor.fetchall()
    conn.commit()
    return [Session(*row) for row in rows]


def wait_for_older_snapshots(conn: Connection, edition: Edition, patience: Patience) -> None:
    """Returns when no reader is left whose snapshot is older than the edition's tables.

    Such a reader would find the new views, but none of their rows, and no error. Only transactions
    that are open when we begin are waited for: later ones see the edition. PublishRefused, with
    their names, when patience ends.
    """
    until = time.monotonic() + patience.snapshots.total_seconds()
    waiting = older_snapshots(conn, edition)
    while waiting:
        if time.monotonic() >= until:
            raise _in_the_way(
                waiting.values(),
                edition,
                "is older than the edition and would find its tables empty",
            )
        patience.rest()
        still = older_snapshots(conn, edition)
        waiting = {key: session for key, session in waiting.items() if key in still}


def refused_by_holders(
    conn: Connection, edition: Edition, views: Collection[str]
) -> PublishRefused:
    """The refusal that names who kept a view locked until patience ended."""
    found = holders(conn, edition, views)
    return _in_the_way(found, edition, f"kept a view of schema {ANALYTICS} or its table in use")


def _in_the_way(sessions: Collection[Session], edition: Edition, doing: str) -> PublishRefused:
    who = "; ".join(str(session) for session in sessions) or "one that has ended by now"
    pids = ", ".join(str(session.pid) for session in sessions)
    ending = f" (`select pg_terminate_backend(pid)` for {pids})" if pids else ""
    return PublishRefused(
        what=f"{edition} was not published: a transaction {doing}: {who}.",
        why="Waiting longer in the queue would make every other reader wait, too. They keep the "
        "last edition, whole.",
        next=f"Publish again when it has ended, or end it{ending}.",
    )
