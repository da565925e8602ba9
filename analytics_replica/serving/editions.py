"""The two editions of gold, and which of them the readers see.

Here: the schemas and tables that serving needs, which edition is published and which one may be
built. Not here: the views over an edition (views.py), changing what is published (publish.py).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from analytics_replica.errors import PublishRefused
from analytics_replica.postgres import identifiers
from analytics_replica.postgres.connect import Connection
from analytics_replica.serving.relations import schemas_behind

ANALYTICS: Final = "analytics"
"""The schema of the published views: the only one that analysts may use."""


class Edition(StrEnum):
    """One complete set of gold tables; the value is its schema."""

    A = "gold_a"
    B = "gold_b"

    @property
    def other(self) -> Edition:
        """The edition that this one takes turns with."""
        return Edition.B if self is Edition.A else Edition.A


_HISTORY = """
-- one row for each time the readers were given an edition, never changed afterwards;
-- `models` is the oid of each model's table, so that a rebuilt edition is not taken for the old one
create table if not exists serving.history (
    publication bigint generated always as identity primary key,
    published_at timestamptz not null,
    action text not null check (action in ('publish', 'rollback')),
    edition text not null check (edition in ('gold_a', 'gold_b')),
    position pg_lsn not null,
    models jsonb not null,
    checks jsonb not null,
    actor text not null,
    reason text not null
)
"""

_STATE = """
-- one row for each edition that was ever published, with its last publication
create table if not exists serving.edition_state (
    edition text primary key check (edition in ('gold_a', 'gold_b')),
    is_published boolean not null,
    publication bigint not null references serving.history
)
"""

_ONE_PUBLISHED = """
-- at most one edition is published
create unique index if not exists edition_state_one_published
on serving.edition_state (is_published) where is_published
"""


def ensure_serving_schema(conn: Connection) -> None:
    """Schemas gold_a, gold_b, analytics and serving exist, with serving's tables. Commits.

    Repeatable. Needs CREATE on the database only for schemas that are missing.
    """
    with conn.cursor() as cursor:
        cursor.execute("select nspname from pg_namespace")
        present = {row[0] for row in cursor.fetchall()}
        for schema in (*Edition, ANALYTICS, "serving"):
            if schema not in present:
                create = identifiers.compose("create schema {schema}", schema=_name(schema))
                cursor.execute(create.text)
        for statement in (_HISTORY, _STATE, _ONE_PUBLISHED):
            cursor.execute(statement)
    conn.commit()


def published_edition(conn: Connection) -> Edition | None:
    """The edition that the readers see; None before the first publication."""
    with conn.cursor() as cursor:
        cursor.execute("select to_regclass('serving.edition_state') is not null")
        if cursor.fetchone() == (False,):
            return None
        cursor.execute("select edition from serving.edition_state where is_published")
        row = cursor.fetchone()
    return Edition(row[0]) if row else None


def build_edition(conn: Connection) -> Edition:
    """The edition that nobody reads, so that it may be built; A before the first publication.

    PublishRefused, naming it, if a view of `analytics` reads it all the same.
    """
    published = published_edition(conn)
    edition = Edition.A if published is None else published.other
    reading = sorted(v for v, read in schemas_behind(conn, ANALYTICS).items() if edition in read)
    if reading:
        raise PublishRefused(
            what=f"{', '.join(reading)} in schema {ANALYTICS} reads {edition}, to be built now.",
            why="dbt drops a table with all that depends on it, so readers would lose the view and "
            f"its grants. {published or 'No edition'} is published, so somebody changed the view.",
            next=f"Drop the view or point it at {edition.other}, then build again.",
        )
    return edition


def _name(schema: str) -> identifiers.Sql:
    return identifiers.name(str(schema))
