"""Giving an edition to the readers, and giving them the other one back.

Here: the order in which it happens, politely and in one transaction. Not here: what the views look
like (views.py), who is in the way (readers.py), whether the edition deserves it
(orchestration.checks).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import psycopg2.errors
import psycopg2.extensions

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import AlreadyRunning, PublishRefused
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving import readers
from analytics_replica.serving.editions import ANALYTICS, Edition, published_edition
from analytics_replica.serving.history import (
    Action,
    Entry,
    Publication,
    last_publication_of,
    record,
)
from analytics_replica.serving.readers import Patience
from analytics_replica.serving.relations import Relation, schemas_behind, tables_of, views_of
from analytics_replica.serving.views import ViewChange, ViewSpec, plan_publication, plan_rollback

_ONE_AT_A_TIME = (
    "select pg_try_advisory_xact_lock(hashtextextended('analytics-replica:serving', 0))"
)

_POLITE = "select set_config('lock_timeout', %s, true)"

Plan = Callable[[Mapping[str, Relation]], Sequence[ViewChange]]
"""From the tables of the edition to what must be executed."""


def publish(  # noqa: PLR0913 - who, why, when and on what grounds are all part of the record
    conn: Connection,
    edition: Edition,
    views: Sequence[ViewSpec],
    *,
    position: Lsn,
    actor: str,
    reason: str,
    clock: Clock,
    checks: Mapping[str, int | float | str],
    patience: Patience | None = None,
) -> Publication:
    """From its commit on, every reader finds this edition, whole; before it, the last one, whole.

    All views, the state and the record change in one transaction, after waiting (bounded) for
    readers whose snapshot is older than the edition. Publishing again what is published changes
    nothing and gives the record that exists. PublishRefused, with nothing changed, if a model was
    not built since the edition was last published, if readers would lose a column or a type, or if
    a reader is in the way until patience ends. Commits what is open on `conn`.
    """
    conn.commit()
    built = tables_of(conn, edition.value)
    plan = partial(_plan_publication, conn, edition, views)
    changes = plan(built)
    entry = Entry(
        published_at=clock.now(),
        action=Action.PUBLISH,
        edition=edition,
        position=position,
        models={view.name: built[view.name].oid for view in views},
        checks=checks,
        actor=actor,
        reason=reason,
    )
    return _already(conn, entry, changes) or _swap(conn, entry, plan, patience or Patience())


def rollback(
    conn: Connection, *, actor: str, reason: str, clock: Clock, patience: Patience | None = None
) -> Publication:
    """Readers find the edition that was published before the present one, as it was.

    Columns that are younger than that edition read as null. PublishRefused if there is none, or if
    its tables were rebuilt since it was published. Commits what is open on `conn`.
    """
    conn.commit()
    published = published_edition(conn)
    last = last_publication_of(conn, published.other) if published else None
    if published is None or last is None:
        raise PublishRefused(
            what="There is no earlier edition to go back to.",
            why="Fewer than two editions were ever published.",
            next="Repair the models and publish a new edition.",
        )
    entry = Entry(
        published_at=clock.now(),
        action=Action.ROLLBACK,
        edition=last.edition,
        position=last.position,
        models=last.models,
        checks=last.checks,
        actor=actor,
        reason=reason,
    )
    return _swap(conn, entry, partial(_plan_rollback, conn, last), patience or Patience())


def _swap(conn: Connection, entry: Entry, plan: Plan, patience: Patience) -> Publication:
    if conn.autocommit:
        raise ValueError("an edition is published in one transaction, so autocommit must be off")
    views = [change.name for change in plan(tables_of(conn, entry.edition.value))]
    conn.commit()
    readers.wait_for_older_snapshots(conn, entry.edition, patience)
    until = time.monotonic() + patience.swap.total_seconds()
    while True:
        try:
            return _swap_once(conn, entry, plan, patience)
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
            conn.rollback()
            if time.monotonic() >= until:
                refusal = readers.refused_by_holders(conn, entry.edition, views)
                raise refusal from None
            patience.rest()


def _swap_once(conn: Connection, entry: Entry, plan: Plan, patience: Patience) -> Publication:
    try:
        with conn.cursor() as cursor:
            _be_alone(cursor)
            cursor.execute(_POLITE, (f"{round(patience.lock_timeout.total_seconds() * 1000)}ms",))
            # 1. what no reader waits for: the plan, made again now that we are alone, the record
            changes = plan(tables_of(conn, entry.edition.value))
            done = record(conn, entry)
            # 2. the views: from the first on, readers wait
            for statement in (s for change in changes for s in change.statements):
                cursor.execute(statement.text)
        conn.commit()  # 3. only now do readers find anything new, and all of it
    finally:
        conn.rollback()  # nothing after a commit; else everything, so nobody commits a half
    return done


def _be_alone(cursor: psycopg2.extensions.cursor) -> None:
    cursor.execute(_ONE_AT_A_TIME)
    if cursor.fetchone() != (True,):
        raise AlreadyRunning(
            what="Somebody else publishes at this moment.",
            why="Two at once could give readers half of each, so this one stopped.",
            next="Look at what was published, then publish again if it is still wanted.",
        )


def _already(conn: Connection, entry: Entry, changes: Sequence[ViewChange]) -> Publication | None:
    """The publication that gave readers exactly this, if they have it, by state and by views."""
    if published_edition(conn) is not entry.edition or any(change.is_news for change in changes):
        return None
    if any(entry.edition.other in read for read in schemas_behind(conn, ANALYTICS).values()):
        return None
    last = last_publication_of(conn, entry.edition)
    if last is None or (last.position, last.models) != (entry.position, entry.models):
        return None
    conn.commit()
    return last


def _plan_publication(
    conn: Connection, edition: Edition, views: Sequence[ViewSpec], built: Mapping[str, Relation]
) -> Sequence[ViewChange]:
    changes = plan_publication(edition, views, built, _published_views(conn))
    if published_edition(conn) is not edition:
        _refuse_if_not_rebuilt(last_publication_of(conn, edition), built)
    return changes


def _plan_rollback(
    conn: Connection, last: Publication, built: Mapping[str, Relation]
) -> Sequence[ViewChange]:
    _refuse_if_rebuilt(last, built)
    return plan_rollback(last.edition, built, _published_views(conn))


def _published_views(conn: Connection) -> dict[str, Relation]:
    """The views of schema analytics that read an edition; others there are not ours to change."""
    behind = schemas_behind(conn, ANALYTICS)
    ours = {view for view, schemas in behind.items() if schemas & set(Edition)}
    return {name: view for name, view in views_of(conn, ANALYTICS).items() if name in ours}


def _refuse_if_not_rebuilt(last: Publication | None, built: Mapping[str, Relation]) -> None:
    kept = _kept(last, built) if last else []
    if last and kept:
        raise PublishRefused(
            what=f"{last.edition} is not a new edition: {', '.join(kept)} is still what was "
            f"published on {last.published_at:%Y-%m-%d %H:%M} UTC.",
            why="Readers would go back in time, or see tables of different nights side by side.",
            next="Build all of gold, then publish. To go back on purpose, roll back.",
        )


def _refuse_if_rebuilt(last: Publication, built: Mapping[str, Relation]) -> None:
    rebuilt = sorted(last.models.keys() - _kept(last, built))
    if rebuilt:
        raise PublishRefused(
            what=f"{last.edition} is no longer what was published on "
            f"{last.published_at:%Y-%m-%d %H:%M} UTC: {', '.join(rebuilt)} was rebuilt.",
            why="A build of the next edition has begun there, so going back would show readers "
            "tables of different nights.",
            next="Let the build finish and publish it, once its checks pass.",
        )


def _kept(last: Publication, built: Mapping[str, Relation]) -> list[str]:
    """The models whose table is the very one that was published; dbt makes a new one each time."""
    return sorted(m for m, oid in last.models.items() if m in built and built[m].oid == oid)
