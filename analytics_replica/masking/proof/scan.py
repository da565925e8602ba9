"""Scan: one pass over a table that counts everything that is asked of its columns.

Here: the statements and what they counted. Not here: what is asked (questions.py), what the counts
mean (chance.py, findings.py). Only counts leave the database.

The pass meets kept texts with one pattern; only texts that fit it are looked at again, column by
column, for what they really are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics_replica.masking.proof import personal
from analytics_replica.masking.proof.extent import Extent
from analytics_replica.masking.proof.questions import Look, Question
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import Sql

_LOOK = "select {text} as v from {source} where {suspicious} offset 0"


@dataclass(frozen=True, slots=True)
class Counted:
    """What one question came to."""

    column: str
    says: str
    faulty: int
    asked: int
    chance: float


def scan(
    connection: Connection,
    extent: Extent,
    questions: Sequence[Question],
    looks: Sequence[Look],
) -> tuple[int, list[Counted]]:
    """The rows that were read, and the counts of all questions and looks, in their order."""
    counts = [sql.compose("count(*)")]
    counts += [part for q in questions for part in (q.faulty, q.asked)]
    counts += [
        sql.compose("count(*) filter (where {suspicious})", suspicious=look.suspicious)
        for look in looks
    ]
    rows, *found = _row(
        connection,
        sql.compose(
            "select {counts} from {source}", counts=sql.join(", ", counts), source=extent.source
        ),
    )
    counted = [
        Counted(q.column, q.says, found[2 * n], found[2 * n + 1], q.chance)
        for n, q in enumerate(questions)
    ]
    for look, suspicious in zip(looks, found[2 * len(questions) :], strict=True):
        if suspicious:
            counted += _personal(connection, extent, look)
    return rows, counted


def _personal(connection: Connection, extent: Extent, look: Look) -> list[Counted]:
    texts = sql.compose(_LOOK, text=look.text, source=extent.source, suspicious=look.suspicious)
    found = _row(connection, personal.counting(texts))
    return [
        Counted(look.column, f"parse as {form.name}", found[2 * n + 1], found[2 * n], form.chance)
        for n, form in enumerate(personal.FORMS)
    ]


def _row(connection: Connection, statement: Sql) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement.text)
        return tuple(int(count) for count in cursor.fetchone() or ())
