"""The masking proof: what a table in the warehouse really holds, against what the policy says.

Here: one scan of one staging table that counts values which do not look as their treatment
promises. Not here: the treatments (policy.py). Only counts leave the database, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from analytics_replica.domain.batches import LandedColumn
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.masking.treatments import Treatment, recorded
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.connect import Connection

ABOUT: Final = "masking proof"

_SHAPES: Final[Mapping[str, str]] = {
    "token": "^([0-9a-f]{32})?$",
    "email": "^([0-9a-f]{32}(@[a-z0-9.-]+)?)?$",
    "last4": "^\\*{4}([0-9]{4})?$",
    "initials": "^\\S{0,3}$",
}
"""Patterns (PostgreSQL's) of everything that a mask can give.

`+`, not `{1,253}`: PostgreSQL unrolls counts, which made the proof of 90,000 e-mails take 4.9 s
instead of 0.7 s (2026-11-21).
"""


def prove_masking(
    connection: Connection,
    held: TableName,
    columns: Sequence[LandedColumn],
    policy: Mapping[str, Treatment],
) -> Verdict:
    """PASS if every value of the table looks as its treatment promises; scanned in full.

    `held` is the table in the warehouse, `columns` what was landed, `policy` what replica.yaml
    says now. FAIL names each column with the number of values at fault, also when a column was
    landed under another treatment than the policy's. CANNOT_TELL if the table is not there.
    """
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", (sql.table(held).text,))
        row = cursor.fetchone()
        if row is None or not row[0]:
            return Verdict.cannot_tell(ABOUT, Finding(str(held), "the table does not exist"))
        faults = [_moved_on(held, c, policy) for c in columns]
        judged = [c for c in columns if _is_judged(c)]
        counts = _count(connection, held, judged)
    found = [fault for fault in faults if fault is not None]
    for column, count in zip(judged, counts[1:], strict=True):
        if count:
            found.append(
                Finding(
                    f"{held}.{column.column.name}",
                    f"{count:,} of {counts[0]:,} values do not look like {column.treatment}",
                )
            )
    return Verdict.from_findings(
        ABOUT,
        found,
        rows_scanned=counts[0],
        masked_columns=len(judged),
        kept_columns=sum(c.treatment == "keep" for c in columns),
    )


def _moved_on(
    held: TableName, landed: LandedColumn, policy: Mapping[str, Treatment]
) -> Finding | None:
    name = landed.column.name
    wanted = policy[name].describe() if name in policy else "sealed"
    if wanted == landed.treatment:
        return None
    return Finding(
        f"{held}.{name}", f"was landed as {landed.treatment}, but the policy says {wanted}"
    )


def _is_judged(landed: LandedColumn) -> bool:
    # A constant says nothing of what it replaced; its value is in replica.yaml, not here.
    return landed.treatment != "keep" and not landed.treatment.startswith("constant")


def _count(
    connection: Connection, held: TableName, judged: Sequence[LandedColumn]
) -> tuple[int, ...]:
    counts = [sql.compose("count(*)")]
    counts.extend(sql.compose("count(*) filter (where {fault})", fault=_fault(c)) for c in judged)
    statement = sql.compose(
        "select {counts} from {table}", counts=sql.join(", ", counts), table=sql.table(held)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text)
        return tuple(cursor.fetchone() or (0,))


def _fault(landed: LandedColumn) -> sql.Sql:
    """A condition that is true for a value which the treatment cannot have given."""
    column = sql.name(landed.column.name)
    strategy, options = recorded(landed.treatment)
    if strategy in _SHAPES:
        return sql.compose(
            "{column}::text !~ {shape}", column=column, shape=sql.literal(_SHAPES[strategy])
        )
    if strategy == "year":
        return sql.compose("{column} not between 0 and 9999", column=column)
    if strategy == "json":
        allowed = sql.join(", ", (sql.literal(key) for key in options.get("paths", ())))
        return sql.compose(
            "{column} is not null and case jsonb_typeof({column}::jsonb) when 'object' then "
            "({column}::jsonb - array[{allowed}]::text[]) <> '{{}}' else true end",
            column=column,
            allowed=allowed,
        )
    return sql.compose("{column} is not null", column=column)
