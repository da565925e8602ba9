"""Incidents: one for each cause, however often it is seen, with a message when it matters.

Here: what is trouble, which incident it belongs to, and which changes people are told of. Pure.
Not here: storing incidents and messages (outbox.py), sending them (sinks.py). No message holds a
value of a row: troubles are made of names, times and counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Level(IntEnum):
    """How bad it is; a higher one is told even if the incident is known."""

    UNKNOWN = 1
    AT_RISK = 2
    LATE = 3


class Turn(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    SEEN = "seen"
    WORSENED = "worsened"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that a person must know of.

    `cause` is the fingerprint: equal causes are one incident. `scope` says what ends it: all of a
    scope's incidents are resolved when the scope is healthy again. `facts` are shown as lines
    (deadline, ETA, run, …); `next` is the first thing to try.
    """

    cause: str
    scope: str
    level: Level
    headline: str
    next: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incident:
    """A trouble over time: since when, how bad at worst."""

    cause: str
    scope: str
    level: Level
    headline: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told. Equal `dedupe_key`: the same message, delivered twice."""

    dedupe_key: str
    turn: Turn
    level: Level
    cause: str
    subject: str
    body: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one incident, and what is said about it (None: nothing new)."""

    turn: Turn
    incident: Incident
    message: Message | None


def decide(
    known: Iterable[Incident], troubles: Iterable[Trouble], healed: Collection[str], now: datetime
) -> list[Change]:
    """The changes to the open incidents `known` that these troubles and healed scopes make.

    A new cause opens an incident; a known one is told again only if it became worse; a healed scope
    resolves all of its incidents. An incident that nobody reports any more stays open until its
    scope heals: silence is not health.
    """
    by_cause = {incident.cause: incident for incident in known}
    changes = [_met(by_cause.get(trouble.cause), trouble, now) for trouble in troubles]
    return [*changes, *_resolved(by_cause.values(), healed, now)]


def opening_message(trouble: Trouble, now: datetime) -> Message:
    """What is said of a trouble that is seen for the first time."""
    return _message(Turn.OPENED, _incident(trouble, now), now, _lines(trouble))


def _met(incident: Incident | None, trouble: Trouble, now: datetime) -> Change:
    if incident is None:
        opened = _incident(trouble, now)
        return Change(Turn.OPENED, opened, opening_message(trouble, now))
    if trouble.level <= incident.level:
        return Change(Turn.SEEN, incident, None)
    worse = Incident(
        incident.cause, incident.scope, trouble.level, trouble.headline, incident.opened_at
    )
    return Change(Turn.WORSENED, worse, _message(Turn.WORSENED, worse, now, _lines(trouble)))


def _resolved(
    known: Iterable[Incident], healed: Collection[str], now: datetime
) -> Iterator[Change]:
    for incident in known:
        if incident.scope in healed:
            lines = [f"It began at {incident.opened_at:%Y-%m-%d %H:%M %Z}."]
            message = _message(Turn.RESOLVED, incident, now, lines)
            yield Change(Turn.RESOLVED, incident, message)


def _incident(trouble: Trouble, now: datetime) -> Incident:
    return Incident(trouble.cause, trouble.scope, trouble.level, trouble.headline, now)


def _lines(trouble: Trouble) -> list[str]:
    facts = [f"{name}: {value}" for name, value in trouble.facts.items()]
    return [*facts, f"First thing to try: {trouble.next}"]


def _message(turn: Turn, incident: Incident, now: datetime, lines: Iterable[str]) -> Message:
    # Opened at, turn and level make the key the same however often the decision is repeated.
    key = f"{incident.cause}|{incident.opened_at.isoformat()}|{turn}|{incident.level}"
    label = "RESOLVED" if turn is Turn.RESOLVED else incident.level.name
    return Message(
        dedupe_key=key,
        turn=turn,
        level=incident.level,
        cause=incident.cause,
        subject=f"{label}: {incident.headline}",
        body="\n".join(lines),
        at=now,
    )
