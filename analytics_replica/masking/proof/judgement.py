"""Judgement: what the counts of one relation mean.

Here: findings and figures from counts, and what stops a proof. Not here: counting (scan.py). A
proof that could not run is CANNOT_TELL, which is no pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import psycopg2

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.masking.proof.chance import is_leak, smallest_leak
from analytics_replica.masking.proof.extent import Extent
from analytics_replica.masking.proof.personal import FORMS
from analytics_replica.masking.proof.questions import Look, Question
from analytics_replica.masking.proof.scan import Counted, scan
from analytics_replica.postgres.connect import Connection

ABOUT: Final = "masking proof"

Figures = dict[str, int | float | str]


def judged(
    connection: Connection,
    extent: Extent,
    questions: Sequence[Question],
    looks: Sequence[Look],
    faults: Sequence[Finding],
    **figures: int | float | str,
) -> Verdict:
    """The verdict on a relation: `faults` that are known already, and what the scan finds.

    CANNOT_TELL, with the faults, if PostgreSQL refuses the scan; the transaction is rolled back.
    """
    try:
        rows, counted = scan(connection, extent, questions, looks)
    except psycopg2.Error as cause:
        if connection.closed:
            raise
        connection.rollback()
        reason = f"it could not be scanned ({type(cause).__name__}, SQLSTATE {cause.pgcode})"
        refused = Finding(str(extent.held), reason)
        if faults:
            return Verdict.from_findings(ABOUT, [*faults, refused], **figures)
        return Verdict.cannot_tell(ABOUT, refused, **figures)
    found = [*faults, *_findings(extent.held, rows, counted)]
    told = {**figures, **extent.figures(rows), **_within_chance(counted)}
    if extent.share >= 1 and looks:
        told["smallest_leak"] = f"{told['smallest_leak']}; {_in_kept()}"
    return Verdict.from_findings(ABOUT, found, **told)


def _findings(held: TableName, rows: int, counted: Sequence[Counted]) -> Iterator[Finding]:
    for count in counted:
        if not is_leak(count.faulty, count.asked, count.chance):
            continue
        total = count.asked if count.chance else rows
        by_chance = f" (chance gives {count.chance:.2g})" if count.chance else ""
        yield Finding(
            f"{held}.{count.column}",
            f"{count.faulty:,} of {total:,} values {count.says}{by_chance}",
        )


def _within_chance(counted: Sequence[Counted]) -> Figures:
    """What chance explains, shown so that a person may doubt it."""
    within = [
        f"{c.column}: {c.faulty:,} of {c.asked:,} {c.says}, a leak from "
        f"{smallest_leak(c.asked - c.faulty, c.chance):,} on"
        for c in counted
        if c.chance and c.faulty and not is_leak(c.faulty, c.asked, c.chance)
    ]
    return {"within_chance": "; ".join(within)} if within else {}


def _in_kept() -> str:
    by_chance = (f"{smallest_leak(0, f.chance)} {f.name}" for f in FORMS if f.chance)
    return f"in kept columns {', '.join(by_chance)}, for as many check digits are right by chance"
