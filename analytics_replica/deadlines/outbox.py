"""The outbox: incidents and their messages, written together, delivered at least once.

Here: schema `ops` of the warehouse and every statement on it. Not here: what is trouble
(incidents.py), how a message leaves (sinks.py). A message is written in the transaction that
changes its incident, and marked delivered after its sink took it: a crash in between repeats it
(the dedupe key says so), and never loses it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg2.extensions

from analytics_replica.deadlines.incidents import (
    Change,
    Incident,
    Level,
    Message,
    Trouble,
    Turn,
    decide,
)
from analytics_replica.deadlines.sinks import Sink
from analytics_replica.postgres.connect import Connection, connection

APPLICATION: Final = "analytics-replica alerts"

_TABLES: Final = """
-- one row per incident; a cause has at most one that is open
create table ops.incident (
    id bigint generated always as identity primary key,
    cause text not null,
    scope text not null,
    level smallint not null,
    headline text not null,
    opened_at timestamptz not null,
    last_seen_at timestamptz not null,
    resolved_at timestamptz
);
create unique index incident_open_cause on ops.incident (cause) where resolved_at is null;
-- one row per message and sink; undelivered while delivered_at is null
create table ops.outbox (
    id bigint generated always as identity primary key,
    dedupe_key text not null,
    sink text not null,
    message jsonb not null,
    created_at timestamptz not null,
    attempts integer not null default 0,
    last_error text,
    delivered_at timestamptz,
    unique (dedupe_key, sink)
);
"""

_PRESENT: Final = """
select exists (select from pg_namespace where nspname = 'ops'),
       exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'ops' and c.relname = 'outbox')
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one round of delivery came to: messages taken, and sink → why it refused."""

    delivered: int
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message that waits for its sink."""

    subject: str
    sink: str
    since: datetime
    attempts: int
    last_error: str | None


def record(
    dsn: str,
    troubles: Sequence[Trouble],
    healed: Sequence[str],
    sinks: Iterable[str],
    now: datetime,
) -> tuple[Message, ...]:
    """Changes the incidents and queues what is to be said of it, in one transaction.

    Returns the messages that are new. Repeating it with the same troubles queues nothing.
    """
    with connection(dsn, application=APPLICATION) as opened:
        ensure_schema(opened)
        with opened.cursor() as cursor:
            # One decision at a time: two sensors must not open the same incident twice.
            cursor.execute("lock table ops.incident in share row exclusive mode")
        changes = decide(_open_incidents(opened), troubles, healed, now)
        for change in changes:
            _write_incident(opened, change, now)
        messages = tuple(change.message for change in changes if change.message is not None)
        _queue(opened, messages, tuple(sinks), now)
    return messages


def deliver(dsn: str, sinks: Mapping[str, Sink], now: datetime) -> Delivery:
    """Sends every waiting message to its sink, oldest first, each in a transaction of its own.

    A sink that refuses is left alone until the next round, so that one that hangs costs its
    timeout once. Rows of sinks that are no longer configured wait and are shown by `undelivered`.
    """
    delivered, refused = 0, dict[str, str]()
    while True:
        willing = [name for name in sinks if name not in refused]
        with connection(dsn, application=APPLICATION) as opened:
            ensure_schema(opened)
            waiting = _next_waiting(opened, willing)
            if waiting is None:
                return Delivery(delivered, refused)
            row, name, message = waiting
            reason = sinks[name].send(message)
            _mark(opened, row, reason, now)
        if reason is None:
            delivered += 1
        else:
            refused[name] = reason


def undelivered(dsn: str) -> list[Undelivered]:
    """The messages that no sink has taken yet, oldest first."""
    with connection(dsn, application=APPLICATION) as opened, opened.cursor() as cursor:
        ensure_schema(opened)
        cursor.execute(
            "select message ->> 'subject', sink, created_at, attempts, last_error "
            "from ops.outbox where delivered_at is null order by id"
        )
        return [Undelivered(*row) for row in cursor.fetchall()]


def open_incidents(dsn: str) -> list[Incident]:
    """The incidents that nothing has resolved yet, oldest first."""
    with connection(dsn, application=APPLICATION) as opened:
        ensure_schema(opened)
        return _open_incidents(opened)


def ensure_schema(opened: Connection) -> None:
    """Makes schema `ops` and its tables where they are not there yet."""
    with opened.cursor() as cursor:
        if _present(cursor)["outbox"]:
            return
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('analytics-replica:ops', 0))")
        present = _present(cursor)
        # Not `if not exists`: that wants a right on the database even if the schema is there.
        if not present["schema"]:
            cursor.execute("create schema ops")
        if not present["outbox"]:
            cursor.execute(_TABLES)


def _present(cursor: psycopg2.extensions.cursor) -> dict[str, bool]:
    # From the tables of the catalog, not by to_regclass: its answer "not there" is remembered until
    # the transaction locks a table, even after another session made it (seen 2026-11-21).
    cursor.execute(_PRESENT)
    schema, outbox = cursor.fetchone() or (False, False)
    return {"schema": schema, "outbox": outbox}


def _open_incidents(opened: Connection) -> list[Incident]:
    with opened.cursor() as cursor:
        cursor.execute(
            "select cause, scope, level, headline, opened_at from ops.incident "
            "where resolved_at is null order by id"
        )
        return [Incident(c, s, Level(level), h, at) for c, s, level, h, at in cursor.fetchall()]


def _write_incident(opened: Connection, change: Change, now: datetime) -> None:
    incident = change.incident
    with opened.cursor() as cursor:
        match change.turn:
            case Turn.OPENED:
                cursor.execute(
                    "insert into ops.incident "
                    "(cause, scope, level, headline, opened_at, last_seen_at) "
                    "values (%s, %s, %s, %s, %s, %s)",
                    (*_columns(incident), incident.opened_at, now),
                )
            case Turn.SEEN | Turn.WORSENED:
                cursor.execute(
                    "update ops.incident set level = %s, headline = %s, last_seen_at = %s "
                    "where cause = %s and resolved_at is null",
                    (int(incident.level), incident.headline, now, incident.cause),
                )
            case Turn.RESOLVED:
                cursor.execute(
                    "update ops.incident set resolved_at = %s "
                    "where cause = %s and resolved_at is null",
                    (now, incident.cause),
                )


def _columns(incident: Incident) -> tuple[str, str, int, str]:
    return incident.cause, incident.scope, int(incident.level), incident.headline


def _queue(
    opened: Connection, messages: Sequence[Message], sinks: Sequence[str], now: datetime
) -> None:
    with opened.cursor() as cursor:
        for message in messages:
            for sink in sinks:
                cursor.execute(
                    "insert into ops.outbox (dedupe_key, sink, message, created_at) "
                    "values (%s, %s, %s, %s) on conflict (dedupe_key, sink) do nothing",
                    (message.dedupe_key, sink, json.dumps(as_json(message)), now),
                )


def _next_waiting(opened: Connection, sinks: Sequence[str]) -> tuple[int, str, Message] | None:
    with opened.cursor() as cursor:
        cursor.execute(
            "select id, sink, message from ops.outbox "
            "where delivered_at is null and sink = any(%s) "
            "order by id limit 1 for update skip locked",
            (list(sinks),),
        )
        found = cursor.fetchone()
    return None if found is None else (found[0], found[1], from_json(found[2]))


def _mark(opened: Connection, row: int, refusal: str | None, now: datetime) -> None:
    with opened.cursor() as cursor:
        cursor.execute(
            "update ops.outbox set attempts = attempts + 1, last_error = %s, delivered_at = %s "
            "where id = %s",
            (refusal, now if refusal is None else None, row),
        )


def as_json(message: Message) -> dict[str, Any]:
    """The message as plain JSON values."""
    plain = dataclasses.asdict(message)
    return plain | {"level": message.level.name, "at": message.at.isoformat()}


def from_json(plain: Mapping[str, Any]) -> Message:
    """The message that `as_json` made."""
    return Message(
        **{
            **plain,
            "turn": Turn(plain["turn"]),
            "level": Level[plain["level"]],
            "at": datetime.fromisoformat(plain["at"]),
        }
    )
