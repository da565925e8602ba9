"""The record of what readers were given: when, which edition, by whom, why.

Here: writing and reading `serving.history` and `serving.edition_state`. Not here: deciding to
publish (publish.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from analytics_replica.domain.lsn import Lsn
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.editions import Edition

_NEWEST = """
-- publications, the newest first
select publication, published_at, action, edition, position::text, models, checks, actor, reason
from serving.history
order by publication desc
limit %s
"""

_LAST_OF_EDITION = """
-- how this edition was last given to the readers
select h.publication, h.published_at, h.action, h.edition, h.position::text, h.models, h.checks,
       h.actor, h.reason
from serving.edition_state s
join serving.history h using (publication)
where s.edition = %s
"""

_APPEND = """
insert into serving.history (published_at, action, edition, position, models, checks, actor, reason)
values (%s, %s, %s, %s::pg_lsn, %s::jsonb, %s::jsonb, %s, %s)
returning publication
"""

_NOTHING_PUBLISHED = "update serving.edition_state set is_published = false where is_published"

_NOW_PUBLISHED = """
-- this edition is what readers see
insert into serving.edition_state (edition, is_published, publication) values (%s, true, %s)
on conflict (edition) do update
set is_published = true, publication = excluded.publication
"""


class Action(StrEnum):
    """How an edition came to the readers."""

    PUBLISH = "publish"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A publication that is about to happen.

    `position` is how far production's log is in the edition; `models` the oid of each model's
    table; `checks` a summary in figures, never values of rows.
    """

    published_at: datetime
    action: Action
    edition: Edition
    position: Lsn
    models: Mapping[str, int]
    checks: Mapping[str, int | float | str]
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication(Entry):
    """A publication that happened, with its number; numbers grow with time."""

    number: int


def record(conn: Connection, entry: Entry) -> Publication:
    """Writes the entry and makes its edition the published one, in the open transaction."""
    with conn.cursor() as cursor:
        cursor.execute(
            _APPEND,
            (
                entry.published_at,
                entry.action.value,
                entry.edition.value,
                str(entry.position),
                json.dumps(dict(entry.models)),
                json.dumps(dict(entry.checks)),
                entry.actor,
                entry.reason,
            ),
        )
        (number,) = cursor.fetchone() or (0,)
        cursor.execute(_NOTHING_PUBLISHED)
        cursor.execute(_NOW_PUBLISHED, (entry.edition.value, number))
    parts: dict[str, Any] = {part.name: getattr(entry, part.name) for part in fields(entry)}
    return Publication(number=number, **parts)


def publications(conn: Connection, limit: int = 20) -> list[Publication]:
    """What readers were given, the newest first."""
    with conn.cursor() as cursor:
        cursor.execute(_NEWEST, (limit,))
        return [_publication(row) for row in cursor.fetchall()]


def last_publication_of(conn: Connection, edition: Edition) -> Publication | None:
    """How this edition was last given to the readers; None if it never was."""
    with conn.cursor() as cursor:
        cursor.execute(_LAST_OF_EDITION, (edition.value,))
        row = cursor.fetchone()
    return _publication(row) if row else None


def _publication(row: tuple[Any, ...]) -> Publication:
    number, published_at, action, edition, position, models, checks, actor, reason = row
    return Publication(
        number=number,
        published_at=published_at,
        action=Action(action),
        edition=Edition(edition),
        position=Lsn.parse(position),
        models=models,
        checks=checks,
        actor=actor,
        reason=reason,
    )
