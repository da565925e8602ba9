"""Reconciliation: whether staging holds what the ledger says, and is where landing is.

Here: two judgements that need the ledger and manifests alone. Not here: comparing values
(staging.reconciliation), the apply (apply.py).
"""

from __future__ import annotations

from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import compose
from analytics_replica.postgres.identifiers import table as table_sql
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger
from analytics_replica.staging.deleted import living
from analytics_replica.staging.ledger import AppliedTable

LEAST_SHARE: Final = 0.5
"""Fewer rows than this share of the last apply's is a loss until somebody says otherwise."""


def row_count_floor(
    conn: Connection, settings: Settings, table: TableName, *, least: float = LEAST_SHARE
) -> Verdict:
    """FAIL if the table holds fewer rows than `least` of what it held before the last apply.

    Also FAIL if it does not hold exactly as many as the ledger counted. Deleted rows that are kept
    count nowhere. CANNOT_TELL before the second apply.
    """
    about = f"row count of {table}"
    known = ledger.tables(conn).get(table)
    if known is None:
        return Verdict.cannot_tell(about, Finding(str(table), "was never applied"))
    target = TableName(settings.replica.warehouse.staging_schema, known.staging_name)
    if target not in read_tables(conn, {target}):
        return Verdict.from_findings(about, [Finding(str(target), "does not exist")])
    rows = _count(conn, target, keeps=settings.tables[table].deleted == "keep")
    figures: dict[str, int | float | str] = {"rows": rows}
    if known.rows_before is None:
        return Verdict.cannot_tell(
            about, Finding(str(table), "has no earlier apply to compare with"), **figures
        )
    figures["rows_before"] = known.rows_before
    return Verdict.from_findings(about, _faults(target, known, rows, least), **figures)


def ledger_at_landing(conn: Connection, store: Store) -> Verdict:
    """PASS if staging contains every landed batch; CANNOT_TELL if nothing was landed."""
    about = "staging's position"
    newest = last_manifest(store)
    if newest is None:
        return Verdict.cannot_tell(about, Finding("landing", "nothing was landed yet"))
    manifest, known = newest[0], ledger.read(conn)
    figures = {"position": str(known.position), "landed": str(manifest.position)}
    faults = []
    if known.last_batch != manifest.sequence:
        behind = manifest.sequence - known.last_batch
        faults = [Finding("staging", f"is {behind} batches away from the end of landing")]
    elif known.position != manifest.position:
        faults = [Finding("staging", f"is at {known.position}, landing at {manifest.position}")]
    return Verdict.from_findings(about, faults, **figures)


def _faults(target: TableName, known: AppliedTable, rows: int, least: float) -> list[Finding]:
    faults = []
    if rows != known.rows:
        faults.append(Finding(str(target), f"has {rows:,} rows; the ledger counted {known.rows:,}"))
    if known.rows_before is not None and rows < least * known.rows_before:
        share = rows / known.rows_before
        faults.append(Finding(str(target), f"has {share:.0%} of the {known.rows_before:,} before"))
    return faults


def _count(conn: Connection, target: TableName, *, keeps: bool) -> int:
    alive = living(keeps=keeps)
    query = compose("select count(*) from {t} where {alive}", t=table_sql(target), alive=alive)
    with conn.cursor() as cursor:
        cursor.execute(query.text)
        row = cursor.fetchone()
    return int(row[0]) if row else 0
