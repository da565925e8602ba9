"""Verdicts: staging against landing's replay, table by table.

Here: what a person is told of one table, and asking for all of them. Not here: the passes
(comparison.py), a physical copy as the other side (against_copy.py).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.errors import LandingError, ReplicaError, WarehouseError
from analytics_replica.landing.layout import Store
from analytics_replica.settings.load import Settings
from analytics_replica.staging.reconciliation.comparison import (
    Compared,
    Comparison,
    RowDifference,
)
from analytics_replica.staging.reconciliation.held import Held, holding
from analytics_replica.staging.reconciliation.reading import reader
from analytics_replica.staging.reconciliation.replayed import Replay, contained
from analytics_replica.staging.workbench import workbench_of

LANDING: Final = "landing"

UNTOLD: Final = (LandingError, WarehouseError)
"""Errors after which nothing can be said of this table, and everything of the others."""


def against_landing(settings: Settings, table: TableName, progress: Progress = SILENT) -> Verdict:
    """PASS if staging's table is, value for value, what landing gives at the ledger's position.

    FAIL names columns and keys. CANNOT_TELL if landing cannot be replayed up to there, if one of
    its files is not what was landed, or if the warehouse refuses. Only reads, in a snapshot of its
    own; errors of one table say nothing of the next.
    """
    asked = Asked.of(settings, table, LANDING)
    try:
        with holding(asked.dsn, table, asked.target) as held:
            if untold := asked.not_there(held):
                return untold
            compared, absent = compared_with_landing(asked, held, progress)
            return asked.told(held, compared, absent)
    except UNTOLD as cause:
        return asked.failed(cause)


def compared_with_landing(
    asked: Asked, held: Held, progress: Progress
) -> tuple[Comparison, set[str]]:
    """What the passes found, and the columns that landing has and staging has not."""
    store = Store.of(asked.settings)
    with workbench_of(asked.settings) as bench, reader(asked.dsn) as reads:
        replay = Replay.of(bench, asked.table, contained(store, held.known), held.columns)
        replay.require_whole()
        absent = replay.names - {c.name for c in held.columns}
        return Compared(held, held.plan, replay.rows, reads, progress).compare(), absent


@dataclass(frozen=True)
class Asked:
    """One table that is asked about, and what may be said of it."""

    settings: Settings
    table: TableName
    target: TableName
    against: str

    @classmethod
    def of(cls, settings: Settings, table: TableName, against: str) -> Asked:
        """The question whether this table is what the other side says."""
        schema = settings.replica.warehouse.staging_schema
        return cls(settings, table, TableName(schema, settings.staging_name(table)), against)

    @property
    def dsn(self) -> str:
        """The warehouse's."""
        return self.settings.secrets.get(self.settings.replica.warehouse.dsn)

    @property
    def about(self) -> str:
        """What the verdict is about."""
        return f"{self.target} against {self.against}"

    def cannot_tell(self, why: str, **figures: int | float | str) -> Verdict:
        """CANNOT_TELL for this reason."""
        return Verdict.cannot_tell(
            self.about, Finding(str(self.target), why), against=self.against, **figures
        )

    def failed(self, error: ReplicaError, **figures: int | float | str) -> Verdict:
        """CANNOT_TELL, because of this error of ours."""
        return self.cannot_tell(error.what, **figures)

    def not_there(self, held: Held) -> Verdict | None:
        """The verdict if there is nothing to compare; None if there is."""
        known = held.known
        if known.last_batch == 0 or known.copy_position is None:
            return self.cannot_tell(f"{self.table} was never applied")
        if not held.columns:
            return Verdict.from_findings(
                self.about,
                [Finding(str(self.target), "does not exist")],
                against=self.against,
                lsn=str(known.position),
            )
        return None

    def told(
        self,
        held: Held,
        compared: Comparison,
        absent: Collection[str] = (),
        **figures: int | float | str,
    ) -> Verdict:
        """The verdict on what the passes found, with the position that was compared."""
        faults = [
            Finding(f"{self.target}.{column}", "is landed and not in staging")
            for column in sorted(absent)
        ]
        faults += self._faults(compared)
        more = "" if compared.complete else "at least "
        shown: dict[str, int | float | str] = {
            "against": self.against,
            "lsn": str(held.known.position),
            "rows": compared.rows,
            "rows_expected": compared.expected,
            "columns": len(held.columns),
            **figures,
        }
        if not compared.equal:
            shown["differing_rows"] = f"{more}{compared.count}"
            shown["differing_columns"] = ", ".join(name for name, _ in compared.columns)
        return Verdict.from_findings(self.about, faults, **shown)

    def _faults(self, compared: Comparison) -> list[Finding]:
        if compared.equal:
            return []
        more = "" if compared.complete else "at least "
        columns = [
            Finding(f"{self.target}.{name}", f"differs in {more}{_rows(count)}")
            for name, count in compared.columns
        ]
        rows = [Finding(f"{self.target} {row.row}", _says(row)) for row in compared.differing]
        if not rows:
            rows = [Finding(str(self.target), "its sums differ")]
        return columns + rows


def _says(row: RowDifference) -> str:
    if row.columns:
        return f"differs in {', '.join(row.columns)}"
    if row.held == 0:
        return f"is missing from staging ({_times(row.expected)} expected)"
    if row.expected == 0:
        return f"is in staging ({_times(row.held)}) and should not be"
    return f"is in staging {_times(row.held)}, {_times(row.expected)} expected"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
