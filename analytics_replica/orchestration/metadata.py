"""What the graph shows of each asset: columns, lineage, rows, positions, seconds.

Here: our figures as Dagster's metadata. Not here: computing them. Names, counts, positions and
times only; never a value of a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import dagster as dg

from analytics_replica.domain.batches import LandedFile, Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.report import CaptureReport
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.treatments import Kind
from analytics_replica.orchestration import keys
from analytics_replica.serving.editions import Edition
from analytics_replica.serving.history import Publication
from analytics_replica.settings.load import Settings
from analytics_replica.staging.apply import ApplyReport
from analytics_replica.staging.freshness import Freshness, Mark, seconds_behind
from analytics_replica.staging.ledger import AppliedTable, Ledger

DURATION: Final = "duration_s"
"""Seconds of the step that made the asset; projections are made of these."""

DURATIONS: Final = "durations_s"
"""On `ready`: seconds by step of the whole night."""

EDITION: Final = "edition"
POSITION: Final = "position"
AS_OF: Final = "data as of"

BEHIND: Final = "seconds_behind"
"""Seconds since the layer was known to contain all that production had committed."""

Metadata = Mapping[str, Any]


def of_raw(settings: Settings, policy: Policy, table: TableName) -> Metadata:
    """What is known of a landed table before anything was captured: columns by the policy."""
    columns = [
        dg.TableColumn(
            name, type=_promised(policy, table, name), description=_words(policy, table, name)
        )
        for name in policy.published(table)
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/uri": settings.landing_url,
        "production table": str(table),
    }


def of_staging(settings: Settings, policy: Policy, table: TableName) -> Metadata:
    """What is known of a staging table before anything was applied: columns, and where from."""
    schema = settings.replica.warehouse.staging_schema
    return {
        "dagster/column_schema": of_raw(settings, policy, table)["dagster/column_schema"],
        "production table": str(table),
        "dagster/table_name": f"{schema}.{settings.staging_name(table)}",
        "dagster/column_lineage": lineage(settings, table, policy.published(table)),
    }


def of_captured(report: CaptureReport, table: TableName) -> Metadata:
    """What one capture did to one table."""
    return {
        DURATION: round(report.seconds, 3),
        "first copy": report.first_copy,
        **of_landed(report.manifests, table),
        POSITION: str(report.position),
    }


def of_landed(batches: Sequence[Manifest], table: TableName) -> Metadata:
    """What these batches hold of one table; at least one batch."""
    files = [file for made in batches for file in made.files if file.table == table]
    metadata: dict[str, Any] = {
        "rows": sum(file.rows for file in files),
        "dagster/row_count": sum(file.rows for file in files),
        "inserts": sum(file.inserts for file in files),
        "updates": sum(file.updates for file in files),
        "deletes": sum(file.deletes for file in files),
        "truncates": sum(file.truncates for file in files),
        "bytes": sum(file.bytes for file in files),
        "batches": len(batches),
        **_range(batches),
    }
    if batches:
        metadata[POSITION] = str(batches[-1].position)
    if files:
        metadata["dagster/column_schema"] = _landed_schema(files[-1])
    return metadata


def of_applied(settings: Settings, done: ApplyReport, ledger: Ledger, table: TableName) -> Metadata:
    """What an apply did to one table, and what staging now holds of it, as the ledger says."""
    known, changed = ledger.tables.get(table), done.tables.get(table)
    metadata: dict[str, Any] = {
        DURATION: round(done.seconds, 3),
        "batches": done.batches,
        POSITION: str(ledger.position),
        AS_OF: _when(ledger.last_commit_at),
        "inserted": changed.inserted if changed else 0,
        "updated": changed.updated if changed else 0,
        "deleted": changed.deleted if changed else 0,
    }
    if known is not None:
        metadata |= {
            "dagster/row_count": known.rows,
            "state": known.state.value if known.reason is None else known.reason,
            "dagster/column_schema": _applied_schema(known),
            "dagster/column_lineage": lineage(settings, table, [c.name for c in known.columns]),
        }
    return metadata


def of_build(edition: Edition, position: Lsn, as_of: datetime | None) -> dict[str, Any]:
    """What every model of one build shares; the gate reads it again."""
    return {
        EDITION: edition.value,
        POSITION: str(position),
        AS_OF: _when(as_of),
    }


def of_published(done: Publication, as_of: Any, durations: Mapping[str, float]) -> dict[str, Any]:
    """What readers were given."""
    return {
        EDITION: done.edition.value,
        POSITION: str(done.position),
        AS_OF: as_of,
        "published at": _when(done.published_at),
        "views": len(done.models),
        DURATIONS: dg.MetadataValue.json(dict(durations)),
    }


def of_freshness(found: Freshness, mark: Mark | None, now: datetime) -> Metadata:
    """Whether the table moves, and how far behind `mark` is; Dagster draws the seconds."""
    behind = seconds_behind(mark, now)
    told: dict[str, Any] = {
        "standing": found.standing.value,
        "standing because": found.reason or "the newest batch has changes of it",
    }
    if behind is not None:
        told[BEHIND] = round(behind, 3)
    if found.captured is not None:
        told["captured to"] = str(found.captured.position)
    if found.landed is not None:
        told["last change"] = _when(found.landed.committed_at)
    return told


def lineage(settings: Settings, table: TableName, columns: Iterable[str]) -> dg.TableColumnLineage:
    """Each staging column comes from the landed column of its name."""
    raw = keys.raw(settings, table)
    return dg.TableColumnLineage({name: [dg.TableColumnDep(raw, name)] for name in columns})


def _landed_schema(file: LandedFile) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(
                landed.column.name,
                type=landed.staging_type,
                description=f"{landed.treatment}; {landed.column.type_name} in production",
                constraints=dg.TableColumnConstraints(nullable=landed.column.nullable),
            )
            for landed in file.columns
        ]
    )


def _applied_schema(table: AppliedTable) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(column.name, type=column.staging_type, description=column.treatment)
            for column in table.columns
        ]
    )


def _range(manifests: Sequence[Manifest]) -> Metadata:
    if not manifests:
        return {}
    commits = [made.last_commit_at for made in manifests if made.last_commit_at is not None]
    return {
        "from LSN": str(manifests[0].from_lsn),
        "to LSN": str(manifests[-1].to_lsn),
        "transactions": sum(made.transactions for made in manifests),
        AS_OF: _when(max(commits, default=None)),
    }


def _promised(policy: Policy, table: TableName, column: str) -> str:
    done = policy.treatment(table, column)
    return "as in production" if done.kind is Kind.KEEP else "as masked"


def _words(policy: Policy, table: TableName, column: str) -> str:
    return policy.treatment(table, column).describe()


def _when(moment: datetime | None) -> dg.MetadataValue[Any]:
    if moment is None:
        return dg.MetadataValue.text("unknown: no transaction was seen yet")
    return dg.MetadataValue.timestamp(moment)
