"""`status`: how tonight stands, and how far landing, staging and readers are.

Here: the command, and what it reads from landing, ledger, serving and Dagster. Not here: any
judgement (deadlines.readiness, landing.retention).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, Final

import typer

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.terminal import say, say_json, show_pairs, show_table
from analytics_replica.cli.usage import epilog
from analytics_replica.deadlines.deadline import Deadline
from analytics_replica.domain.clock import Clock, SystemClock
from analytics_replica.errors import NotReady, ReplicaError, SettingsInvalid
from analytics_replica.landing.layout import Store
from analytics_replica.landing.retention import (
    Allowance,
    Level,
    health_verdict,
    recent_manifests,
    slot_health,
)
from analytics_replica.postgres.connect import connection
from analytics_replica.serving.as_of import published_marks
from analytics_replica.serving.editions import published_edition
from analytics_replica.serving.history import last_publication_of
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger
from analytics_replica.staging.freshness import (
    Freshness,
    Mark,
    Standing,
    freshness_of,
    landing_evidence,
    with_ledger,
)

EPILOG: Final = epilog("analytics-replica status --json", SettingsInvalid, NotReady)

GOOD: Final = frozenset({"READY", "ON_TRACK"})
UNKNOWN: Final = "UNKNOWN"
HEADINGS: Final = ("table", "captured", "landed", "applied", "published", "state")
"""Times of the last commit that is contained, by production's clock."""


@dataclass
class State:
    """What is known, as text; `troubles` says what could not be read."""

    verdict: str
    reason: str
    facts: dict[str, str | None] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    slot: dict[str, int | float | str] = field(default_factory=dict)
    tables: tuple[Freshness, ...] = ()


def status_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON.")] = False,
) -> None:
    """Say how tonight stands and how fresh everything is.

    Ends with 0 if tonight's edition is ready or on track, with 71 if it is late, at risk, or if
    nobody can tell.
    """
    settings = Invocation.of(context).settings_for_dagster()
    clock = SystemClock()
    state = state_of(settings, clock)
    if as_json:
        facts: Mapping[str, object] = {name.replace(" ", "_"): v for name, v in state.facts.items()}
        body = {"verdict": state.verdict, "reason": state.reason, **facts}
        say_json(
            {
                **body,
                "slot": state.slot,
                "troubles": state.troubles,
                "tables": [_table_json(found) for found in state.tables],
            }
        )
    else:
        good = state.verdict in GOOD
        say(f"{state.verdict}  {state.reason}", "bold green" if good else "bold red")
        show_pairs({name: value or "-" for name, value in state.facts.items()})
        if state.tables:
            zone = settings.replica.deadlines.zone
            say(f"\nUp to which commit each table is ({zone}):")
            today = clock.now().astimezone(settings.replica.deadlines.tz).date()
            rows = [_table_row(found, settings, today) for found in state.tables]
            show_table(HEADINGS, rows)
        for trouble in state.troubles:
            say(trouble, "yellow")
    raise typer.Exit(0 if state.verdict in GOOD else NotReady.exit_code)


def state_of(settings: Settings, clock: Clock) -> State:
    """Everything that can be read now; what cannot is a trouble, never an error."""
    state = State(UNKNOWN, "nobody can tell")
    for part in (_landing, _warehouse, _tables, _tonight):
        try:
            part(settings, state, clock)
        except ReplicaError as cause:
            state.troubles.append(cause.what)
    if state.verdict == UNKNOWN and state.troubles:
        state.reason = "not everything could be read"
    return state


def _landing(settings: Settings, state: State, clock: Clock) -> None:
    recent = recent_manifests(Store.of(settings))
    if not recent:
        state.facts |= {"last capture": None, "landing position": None, "slot retention": None}
        return
    last = recent[-1]
    health = slot_health(recent, clock.now(), Allowance.of(settings.replica.deadlines))
    state.slot = dict(health_verdict(health).figures)
    state.facts |= {
        "last capture": _moment(last.captured_at, settings),
        "landing position": str(last.position),
        "slot retention": f"{health.level.value}: {health.says}",
    }
    if health.level is not Level.OK:
        state.troubles += [str(finding) for finding in health_verdict(health).findings]


def _warehouse(settings: Settings, state: State, clock: Clock) -> None:
    del clock
    dsn = settings.secrets.get(settings.replica.warehouse.dsn)
    with connection(dsn, application="analytics-replica status") as opened:
        known, edition = ledger.read(opened), published_edition(opened)
        published = last_publication_of(opened, edition) if edition else None
    stuck = [str(table.table) for table in known.tables.values() if table.state != ledger.State.OK]
    state.facts |= {
        "staging position": str(known.position) if known.last_batch else None,
        "data as of": _moment(known.last_commit_at, settings),
        "published edition": None if published is None else published.edition.value,
        "published at": _moment(published.published_at if published else None, settings),
        "published position": None if published is None else str(published.position),
    }
    if known.ahead:
        ahead = ", ".join(f"{table.table} at {table.position}" for table in known.ahead)
        state.troubles.append(
            f"Staging is of several instants: {ahead}, all others at {known.position}. The next "
            "apply of all tables heals it."
        )
    if stuck:
        state.troubles.append(f"Standing still in staging: {', '.join(sorted(stuck))}.")


def _tables(settings: Settings, state: State, clock: Clock) -> None:
    evidence = landing_evidence(settings, clock.now())
    with contextlib.suppress(ReplicaError):  # `_warehouse` says it; landing is told all the same
        dsn = settings.secrets.get(settings.replica.warehouse.dsn)
        with connection(dsn, application="analytics-replica status") as opened:
            known = with_ledger(evidence, opened)
            evidence = replace(known, published=published_marks(opened))
    state.tables = tuple(
        freshness_of(table, evidence, settings.staging_name(table)) for table in settings.tables
    )


def _table_row(found: Freshness, settings: Settings, today: date) -> tuple[str, ...]:
    marks = (found.captured, found.landed, found.applied, found.published)
    shown = (_short(mark.committed_at if mark else None, settings, today) for mark in marks)
    stuck = found.standing is Standing.STUCK
    state = f"{found.standing.value}: {found.reason}" if stuck else found.standing.value
    return str(found.table), *shown, state


def _short(at: datetime | None, settings: Settings, today: date) -> str:
    if at is None:
        return "-"
    local = at.astimezone(settings.replica.deadlines.tz)
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%m-%d %H:%M}"


def _table_json(found: Freshness) -> dict[str, object]:
    return {
        "table": str(found.table),
        "state": found.standing.value,
        "reason": found.reason,
        "captured": _mark_json(found.captured),
        "landed": _mark_json(found.landed),
        "applied": _mark_json(found.applied),
        "applied_at": found.applied_at,
        "published": _mark_json(found.published),
    }


def _mark_json(mark: Mark | None) -> dict[str, object] | None:
    if mark is None:
        return None
    times = {"committed_at": mark.committed_at, "seen_at": mark.seen_at}
    return {"position": str(mark.position), **times}


def _tonight(settings: Settings, state: State, clock: Clock) -> None:
    # Dagster takes 4 s to import (2026-11-21); `--help` and `capture` do not wait for it.
    from analytics_replica.definitions import build_definitions  # noqa: PLC0415
    from analytics_replica.orchestration.instance import open_instance  # noqa: PLC0415
    from analytics_replica.orchestration.outlook import outlook_of  # noqa: PLC0415

    rules = settings.replica.deadlines
    deadline = Deadline(rules.tz, rules.ready_by, rules.nightly_start)
    state.facts["deadline"] = _moment(deadline.next_after(clock.now()), settings)
    graph = build_definitions(settings, clock)
    with open_instance(settings) as instance:
        readiness = outlook_of(graph, instance)
    state.verdict, state.reason = readiness.standing.value, readiness.reason
    state.facts["deadline"] = _moment(readiness.night.deadline, settings)
    state.facts["expected at"] = _moment(readiness.eta, settings)


def _moment(at: datetime | None, settings: Settings) -> str | None:
    if at is None:
        return None
    return f"{at.astimezone(settings.replica.deadlines.tz):%Y-%m-%d %H:%M:%S %Z}"
