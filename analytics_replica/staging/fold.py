"""Retention by folding: older batches become one base, and what was deleted is in no file any more.

Here: which batches may be folded, and the order of effects. Not here: what is left of one table
(survivors.py), files and their removal (landing.folding).

It is here and not in landing because it replays events, which is staging's knowledge, and because
only staging's ledger tells what is applied already. Staging rebuilt from the base and the batches
after it equals staging rebuilt from the batches that the base stands for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from analytics_replica.domain.batches import (
    BatchKind,
    Catalog,
    CatalogTable,
    Folded,
    LandedFile,
    Manifest,
)
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import LandingError, WarehouseError
from analytics_replica.landing.copy_area import ready_copies
from analytics_replica.landing.folding import one_folder, remove_folded
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests, read_digested, replace_manifest
from analytics_replica.landing.points import Reached, unheard
from analytics_replica.postgres.connect import advisory_lock, connect
from analytics_replica.settings.load import Settings
from analytics_replica.staging import ledger as ledgers
from analytics_replica.staging.identity import follow_identity
from analytics_replica.staging.ledger import Ledger, State
from analytics_replica.staging.quarantine import REFUSALS, copy_again
from analytics_replica.staging.survivors import Survivors, survivors
from analytics_replica.staging.windows import Window, whole_windows
from analytics_replica.staging.workbench import workbench_of

APPLY: Final = "apply"
"""The purpose whose lock an apply holds: rows must not be replayed while their files go."""

REBUILD: Final = "rebuild"
"""The purpose whose lock a rebuild holds, which reads older batches for longer than an apply."""


class CannotFold(LandingError):
    """Older batches cannot be folded; all of them are as they were."""


@dataclass(frozen=True, slots=True)
class FoldReport:
    """What a fold did: `base` stands for `batches` batches, whose files are gone.

    `base` is None if landing has none. `waits_for` says why newer batches, although old enough,
    stay. `removed_*` count what earlier folds left over, too.
    """

    base: int | None
    position: Lsn | None
    batches: int
    rows: Mapping[TableName, int]
    removed_files: int
    removed_bytes: int
    before: datetime
    waits_for: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Edge:
    """The last batch that may be folded, None if there is none, and what holds back older ones."""

    batch: Manifest | None
    waits_for: str = ""


def fold(
    settings: Settings,
    clock: Clock,
    *,
    before: datetime | None = None,
    progress: Progress = SILENT,
    reached: Reached = unheard,
) -> FoldReport:
    """Folds the batches that were captured before this moment; default: `landing.retention_days`.

    Only what staging contains is folded. Repeatable; a crash at any point loses nothing, and the
    next fold completes it. Captures may run meanwhile. AlreadyRunning while an apply, a rebuild or
    another fold runs; CannotFold, with nothing changed, if a table cannot be replayed;
    LandingBroken if a file is not what was landed. `reached` hears "file written", "manifest" and
    "remove".
    """
    began = clock.now()
    before = before or began - timedelta(days=settings.replica.landing.retention_days)
    store = Store.of(settings)
    dsn = settings.secrets.get(settings.replica.warehouse.dsn)
    with one_folder(store), advisory_lock(dsn, REBUILD), advisory_lock(dsn, APPLY):
        with connect(dsn, application="analytics-replica fold") as conn:
            ledger = ledgers.read(conn)
        conn.close()
        found = list(manifests(store))
        edge = edge_of(found, ledger, before, _waiting(store))
        rows: dict[TableName, int] = {}
        if edge.batch is not None and edge.batch.sequence > found[0].sequence:
            base = _Fold(settings, store, found, edge.batch, ledger, progress, reached).made(began)
            rows = _rows(base)
            reached("manifest")
            replace_manifest(store, base)
        batches, files, size = remove_folded(store, reached)
        bases = [m for m in manifests(store) if m.folded is not None]
    took = (clock.now() - began).total_seconds()
    number = bases[-1].sequence if bases else None
    at = bases[-1].position if bases else None
    return FoldReport(number, at, batches, rows, files, size, before, edge.waits_for, took)


def _rows(base: Manifest) -> dict[TableName, int]:
    rows: dict[TableName, int] = {}
    for file in base.files:
        rows[file.table] = rows.get(file.table, 0) + file.rows
    return rows


def edge_of(
    found: Sequence[Manifest], ledger: Ledger, before: datetime, waiting: Sequence[Lsn] = ()
) -> Edge:
    """Up to where these batches may be folded; pure.

    All up to there are older than `before` and applied to every table that may still need them, and
    no copy that comes later, or waits to be landed, goes on from a position before it.
    """
    old = list(takewhile(lambda m: m.captured_at < before, found))
    if not old:
        return Edge(None)
    limit, why = _applied(ledger)
    possible = [m for m in old if m.sequence <= limit]
    reason = why if len(possible) < len(old) else ""
    while possible:
        edge = possible[-1]
        starts = [m.to_lsn for m in found[len(possible) :] if m.kind is BatchKind.COPY]
        if all(start >= edge.position for start in (*starts, *waiting)):
            return Edge(edge, reason)
        reason = reason or "a copy of a table goes on from a position before it"
        possible.pop()
    return Edge(None, reason)


def _applied(ledger: Ledger) -> tuple[int, str]:
    """The last batch that every table contains, and who it is that has no more."""
    still = [
        known
        for known in ledger.tables.values()
        if known.state is State.QUARANTINED and known.copy_position is not None
    ]
    last = min([ledger.last_batch, *(known.last_batch for known in still)])
    behind = [known.table for known in still if known.last_batch == last]
    if behind and last < ledger.last_batch:
        return last, f"{behind[0]} stands still at batch {last}. {copy_again(behind[0])}"
    return last, f"staging contains batch {last} and no more"


def _waiting(store: Store) -> list[Lsn]:
    return [ready.proposal.to_lsn for ready in ready_copies(store)]


@dataclass(frozen=True)
class _Fold:
    """One fold that is due: from these batches to the base in the place of the last of them."""

    settings: Settings
    store: Store
    found: Sequence[Manifest]
    edge: Manifest
    ledger: Ledger
    progress: Progress
    reached: Reached

    def made(self, now: datetime) -> Manifest:
        """The base's manifest; its files are there, and no manifest names them yet."""
        older = [m for m in self.found if m.sequence <= self.edge.sequence]
        later = [m for m in self.found if m.sequence > self.edge.sequence]
        anew = {file.table for m in later if m.kind is BatchKind.COPY for file in m.files}
        wanted = set(self.settings.tables) - anew
        windows = whole_windows(self.store, older, wanted)
        files: list[LandedFile] = []
        since: list[tuple[str, Lsn]] = []
        identities: list[CatalogTable] = []
        with workbench_of(self.settings) as bench:
            for done, (table, window) in enumerate(windows.items()):
                self.progress("fold", done, len(windows))
                if not self._is_needed(window):
                    continue
                try:
                    left: Survivors = survivors(bench, window, self.edge.sequence)
                    identity = follow_identity(table, None, window, older)
                except REFUSALS as cause:
                    raise _cannot(table, cause) from None
                self.reached("file written")
                files += left.files
                since += left.since
                identities += [identity] if identity is not None else []
        self.progress("fold", len(windows), len(windows))
        return self._base(tuple(files), tuple(since), tuple(identities), older, now)

    def _is_needed(self, window: Window) -> bool:
        """False for changes of a table that was never copied: they can only wait for a copy.

        That copy will be from a later position.
        """
        known = self.ledger.tables.get(window.table)
        if window.copied_at is None and known is not None and known.copy_position is not None:
            raise CannotFold(
                what=f"Landing does not hold the copy that {window.table} began with.",
                why="Its rows could not be rebuilt from what would be left; nothing was changed.",
                next=copy_again(window.table),
            )
        return window.copied_at is not None

    def _base(
        self,
        files: tuple[LandedFile, ...],
        since: tuple[tuple[str, Lsn], ...],
        identities: tuple[CatalogTable, ...],
        older: Sequence[Manifest],
        now: datetime,
    ) -> Manifest:
        edge = self.edge
        _, digest = read_digested(self.store, edge.sequence)
        stood_for = sum(m.folded.batches if m.folded is not None else 1 for m in older)
        commits = [m.last_commit_at for m in older if m.last_commit_at is not None]
        return replace(
            edge,
            kind=BatchKind.COPY,
            from_lsn=edge.position,
            to_lsn=edge.position,
            files=files,
            # A base is under the key of the tables themselves; what lay beside went into no table.
            keys=edge.keys[:1],
            beside=(),
            transactions=0,
            last_commit_at=max(commits, default=None),
            catalog=Catalog(edge.position, identities) if identities else None,
            folded=Folded(digest, stood_for, now, since),
        )


def _cannot(table: TableName, cause: WarehouseError) -> CannotFold:
    return CannotFold(
        what=f"Landing's older batches cannot be folded: {cause.what}",
        why="A rebuild of staging would find the same, so nothing was changed and nothing older "
        "than the retention was removed.",
        next=copy_again(table),
    )
