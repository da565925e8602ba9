"""One incident for each cause; a message only when something is new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from analytics_replica.deadlines.incidents import (
    Change,
    Incident,
    Level,
    Trouble,
    Turn,
    decide,
)

NOW = datetime(2026, 11, 21, 1, 10, tzinfo=UTC)


def trouble(cause: str = "readiness:2026-11-21", level: Level = Level.AT_RISK) -> Trouble:
    return Trouble(cause, "night", level, "staging has not started", "start it", {"ETA": "04:25"})


def after(changes: list[Change]) -> list[Incident]:
    return [change.incident for change in changes if change.turn is not Turn.RESOLVED]


def said(changes: list[Change]) -> list[str]:
    return [change.message.subject for change in changes if change.message is not None]


def test_a_new_cause_opens_an_incident_and_is_told() -> None:
    changes = decide([], [trouble()], [], NOW)
    assert [change.turn for change in changes] == [Turn.OPENED]
    assert said(changes) == ["AT_RISK: staging has not started"]
    message = changes[0].message
    assert message is not None
    assert message.body == "ETA: 04:25\nFirst thing to try: start it"


def test_the_same_cause_is_told_once_however_often_it_is_seen() -> None:
    known = after(decide([], [trouble()], [], NOW))
    for minute in range(1, 30):
        changes = decide(known, [trouble()], [], NOW + timedelta(minutes=minute))
        assert [change.turn for change in changes] == [Turn.SEEN]
        assert said(changes) == []


def test_a_cause_that_becomes_worse_is_told_again() -> None:
    known = after(decide([], [trouble()], [], NOW))
    changes = decide(known, [trouble(level=Level.LATE)], [], NOW)
    assert said(changes) == ["LATE: staging has not started"]
    assert after(changes)[0].opened_at == NOW


def test_a_cause_that_becomes_milder_is_not_told() -> None:
    known = after(decide([], [trouble(level=Level.LATE)], [], NOW))
    assert said(decide(known, [trouble()], [], NOW)) == []


def test_a_healthy_scope_resolves_all_of_its_incidents_and_says_so() -> None:
    known = after(decide([], [trouble("a"), trouble("b")], [], NOW))
    changes = decide(known, [], ["night"], NOW)
    assert [change.turn for change in changes] == [Turn.RESOLVED, Turn.RESOLVED]
    assert said(changes) == ["RESOLVED: staging has not started"] * 2


def test_silence_does_not_resolve_anything() -> None:
    known = after(decide([], [trouble()], [], NOW))
    assert decide(known, [], [], NOW) == []
    assert decide(known, [], ["capture"], NOW) == []


def test_messages_of_one_incident_have_different_keys_and_repeating_a_decision_the_same() -> None:
    opened = decide([], [trouble()], [], NOW)
    worse = decide(after(opened), [trouble(level=Level.LATE)], [], NOW)
    closed = decide(after(worse), [], ["night"], NOW)
    keys = [c.message.dedupe_key for c in (*opened, *worse, *closed) if c.message]
    assert len(set(keys)) == 3
    again = decide([], [trouble()], [], NOW)
    assert [c.message.dedupe_key for c in again if c.message] == keys[:1]
