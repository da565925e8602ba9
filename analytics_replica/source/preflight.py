"""Whether production is ready to be captured: one verdict for each thing that must be so.

Here: the questions, in the order in which a person would solve them. Not here: the guards that
capture itself uses and that answer them (slot.py, resume.py), printing (cli). Asks production what
one capture asks: IDENTIFY_SYSTEM, the single catalog read, and, if the slot is ahead, silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Finding, Outcome, Verdict
from analytics_replica.errors import ReplicaError, SourceNotPrepared
from analytics_replica.settings.load import Settings
from analytics_replica.source.publications import RUN_SCRIPT, Wanted
from analytics_replica.source.raw_log import fork_of, silence_of
from analytics_replica.source.replication import SourceConnection, SystemIdentity
from analytics_replica.source.resume import guard_resume, guard_source
from analytics_replica.source.slot import (
    SUPPORTED,
    SourceState,
    require_prepared,
    require_server,
)

NEXT: Final = "next"
"""The subject of the finding that says what to do about the ones before it."""

SERVER_VERSION: Final = "server_version"
"""The figure of REACHABLE that says which PostgreSQL production is, as a number (180006)."""

REACHABLE: Final = "production answers"
ROLE: Final = "our role may replicate"
SERVER: Final = "the server fits replica.yaml"
WAL_LEVEL: Final = "wal_level is logical"
PUBLICATION: Final = "the publication exists"
POLICY: Final = "the publication is replica.yaml's"
SLOT: Final = "the slot is ours and free"
POSITION: Final = "slot and landing agree"

QUESTIONS: Final = (REACHABLE, ROLE, SERVER, WAL_LEVEL, PUBLICATION, POLICY, SLOT, POSITION)

_FINE_PUBLICATION: Final = {"all_tables": False, "schemas": 0, "operations": [True] * 4}
_Landed = tuple[Manifest | None, Lsn | None]
"""The newest batch, and how far silence is recorded after it."""


def preflight(
    settings: Settings, *, last: Manifest | None = None, recorded: Lsn | None = None
) -> list[Verdict]:
    """One verdict for each of QUESTIONS, in order; never raises what it judges.

    CANNOT_TELL where an earlier answer made a question unanswerable. `last` is the newest landed
    batch: with it, the slot must stand where landing ends, or ahead of it over silence only, of
    which some is `recorded`.
    """
    source = settings.replica.source
    try:
        dsn = settings.secrets.get(source.dsn)
        with SourceConnection(dsn) as connection:
            system = connection.identify()
            state = connection.read_state(source.slot, source.publication)
    except SourceNotPrepared as no_right:
        passed = _passed(REACHABLE)
        return [passed, failed(ROLE, no_right), *_unknown(QUESTIONS[2:], "our role is refused")]
    except ReplicaError as cause:
        return [failed(REACHABLE, cause), *_unknown(QUESTIONS[1:], "production was not read")]
    answers = Verdict(REACHABLE, Outcome.PASS, figures={SERVER_VERSION: state.server_version})
    return [answers, _passed(ROLE), *_of_state(settings, system, state, (last, recorded))]


def failed(about: str, cause: ReplicaError) -> Verdict:
    """FAIL with what happened, under the error's name, and what to do next as the last finding."""
    return Verdict.from_findings(
        about, [Finding(type(cause).__name__, cause.what), Finding(NEXT, cause.next)]
    )


def _of_state(
    settings: Settings, system: SystemIdentity, state: SourceState, landed: _Landed
) -> Iterator[Verdict]:
    source = settings.replica.source
    alone = _one_at_a_time(state, standby=source.decode_from_standby)

    def prepared(question: str) -> Verdict:
        return _asked(
            question,
            lambda: require_prepared(
                alone[question],
                source.slot,
                source.publication,
                standby=source.decode_from_standby,
            ),
        )

    yield _of_server(settings, state)
    yield prepared(WAL_LEVEL)
    publication = prepared(PUBLICATION)
    yield publication
    yield _of_policy(settings, state, publication, landed[0])
    slot = prepared(SLOT)
    yield _failover(settings, state) or slot if slot.passed else slot
    yield _of_position(settings, system, state, landed)


def _one_at_a_time(state: SourceState, *, standby: bool) -> dict[str, SourceState]:
    """For each question the state with all else as it should be: the guard stops at one fault."""
    fine = replace(
        state,
        server_version=SUPPORTED[-1] * 10_000,
        in_recovery=standby,
        wal_level="logical",
        publication=_FINE_PUBLICATION,
        inserts=None,
        slot={
            "plugin": "pgoutput",
            "database": state.database,
            "wal_status": "reserved",
            "restart_lsn": "0/1",
            "active_pid": None,
        },
    )
    return {
        WAL_LEVEL: replace(fine, wal_level=state.wal_level),
        PUBLICATION: replace(fine, publication=state.publication, inserts=state.inserts),
        SLOT: replace(fine, slot=state.slot),
    }


def _of_server(settings: Settings, state: SourceState) -> Verdict:
    standby = settings.replica.source.decode_from_standby
    verdict = _asked(SERVER, lambda: require_server(state, standby=standby))
    if verdict.passed and standby and not state.standby_feedback:
        return Verdict.from_findings(
            SERVER,
            [
                Finding("hot_standby_feedback", "is off on the standby"),
                Finding("the slot", "is lost when production removes what decoding still needs"),
                Finding(NEXT, "Have the DBA set hot_standby_feedback = on there, and reload."),
            ],
        )
    return verdict


def _failover(settings: Settings, state: SourceState) -> Verdict | None:
    source = settings.replica.source
    slot = state.slot or {}
    if bool(slot.get("failover")) == source.failover:
        return None
    wanted = "true" if source.failover else "false"
    return Verdict.from_findings(
        SLOT,
        [
            Finding(
                f"slot {source.slot}",
                f"has failover = {'false' if source.failover else 'true'}, and replica.yaml says "
                f"source.failover: {wanted}",
            ),
            Finding(
                NEXT,
                "Change replica.yaml, or have the DBA send, with psql 'replication=database ...': "
                f"ALTER_REPLICATION_SLOT {source.slot} (FAILOVER {wanted})  (PostgreSQL 17+)",
            ),
        ],
    )


def _of_policy(
    settings: Settings, state: SourceState, publication: Verdict, last: Manifest | None
) -> Verdict:
    if not publication.passed:
        return _cannot_tell(POLICY, "there is no usable publication")
    wanted = Wanted.of(settings)
    agreement = state.agreement(wanted)
    tokens = {} if last is None else dict(last.published)
    holes_now = agreement.holes_since(tokens)
    explained = agreement.emptied_since(tokens)
    findings = [
        Finding(str(table), why)
        for table, why in sorted(holes_now.items())
        if table not in explained
    ]
    holes = len(findings)
    findings += [
        Finding(str(table), "is published, and replica.yaml does not list it: it is left out")
        for table in sorted(agreement.unlisted)
    ]
    findings += [
        Finding(
            str(table),
            "cannot be updated on production: what is published does not identify its rows",
        )
        for table in sorted(agreement.blocked)
    ]
    if not findings:
        return Verdict(POLICY, Outcome.PASS, figures={"tables": len(wanted.tables)})
    then = RUN_SCRIPT
    if holes and last is not None:
        then += f" Then copy it again: `analytics-replica resync {findings[0].subject}`."
    return Verdict.from_findings(POLICY, [*findings, Finding(NEXT, then)])


def _of_position(
    settings: Settings, system: SystemIdentity, state: SourceState, landed: _Landed
) -> Verdict:
    source, (last, recorded) = settings.replica.source, landed
    if last is not None:
        fork = partial(fork_of, settings.secrets.get(source.dsn))
        alive = _asked(POSITION, lambda: guard_source(last, system, state, source.slot, fork))
        if not alive.passed:
            return alive
    if state.slot is None or state.slot["restart_lsn"] is None or state.publication is None:
        return _cannot_tell(POSITION, "slot or publication is missing")
    health = state.slot_state(system.flushed)
    figures: dict[str, int | float | str] = {
        "retained_bytes": health.retained_bytes,
        "confirmed": str(health.confirmed_lsn),
    }
    if last is None:
        return Verdict(POSITION, Outcome.PASS, figures=figures)
    identity = state.identity(
        system.system_identifier, system.timeline, source.slot, source.publication
    )
    silence = silence_of(settings.secrets.get(source.dsn), identity, recorded)
    verdict = _asked(POSITION, lambda: guard_resume(last, identity, health, silence))
    return replace(verdict, figures=figures)


def _asked(about: str, guard: Callable[[], None]) -> Verdict:
    try:
        guard()
    except ReplicaError as cause:
        return failed(about, cause)
    return _passed(about)


def _passed(about: str) -> Verdict:
    return Verdict(about, Outcome.PASS)


def _unknown(questions: tuple[str, ...], reason: str) -> list[Verdict]:
    return [_cannot_tell(about, reason) for about in questions]


def _cannot_tell(about: str, reason: str) -> Verdict:
    return Verdict.cannot_tell(about, Finding("preflight", reason))
