"""Windows: which landed files each table still needs, and from which position.

Here: reading the manifests after what the ledger contains, and dividing their files by table.
Not here: what the files say (shapes.py, compact.py), whether the chain of all manifests holds
(landing.contiguity).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from analytics_replica.domain.batches import BatchKind, LandedFile, Manifest
from analytics_replica.domain.lsn import ZERO, Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.beside import on_top_of
from analytics_replica.landing.contiguity import fault_between
from analytics_replica.landing.layout import Store, manifest_path
from analytics_replica.landing.manifest import digested, manifests, read_digested
from analytics_replica.staging.footers import positions_in
from analytics_replica.staging.ledger import AppliedTable, Ledger, State
from analytics_replica.staging.sequel import (
    begins_anew,
    require_not_behind,
    require_one_production,
    require_same_batches,
    require_sequel,
    require_sound,
)
from analytics_replica.staging.upto import Upto, from_base, last_commit_before


@dataclass(frozen=True, slots=True)
class Part:
    """One landed file of a window, with the positions of its batch."""

    file: LandedFile
    kind: BatchKind
    from_lsn: Lsn
    to_lsn: Lsn


@dataclass(frozen=True, slots=True)
class Window:
    """The files of one table that staging does not contain yet, oldest first.

    Events before `floor` are contained already and do not count; those at or after `ceiling` are
    not wanted yet. `copied_at` is the position of the copy that the window begins with, None if it
    begins with changes. `complete` says that no batch between what is contained and the window is
    missing; it is false for changes of a table that was never copied.
    """

    table: TableName
    parts: tuple[Part, ...]
    floor: Lsn
    copied_at: Lsn | None
    complete: bool
    ceiling: Lsn | None = None

    @property
    def files(self) -> tuple[LandedFile, ...]:
        """The files, oldest first."""
        return tuple(part.file for part in self.parts)

    @property
    def inserts_only(self) -> bool:
        """True if every event is a new row with a key that no other event has."""
        return all(file.inserts == file.rows for file in self.files)

    @property
    def unchanged(self) -> bool:
        """True if some values must be taken from what was known before (TOAST)."""
        return any(column.unchanged_rows for file in self.files for column in file.columns)


@dataclass(frozen=True, slots=True)
class Pending:
    """What one apply has to do: the new batches, and a window for each table with changes.

    `found` are all batches that some table does not contain yet, in order. With `cut`, only what
    was committed before it is taken of the last batch, which stays to be applied.
    """

    batches: tuple[Manifest, ...]
    windows: Mapping[TableName, Window]
    found: tuple[Manifest, ...] = ()
    anew: Lsn | None = None
    """Where staging stands afterwards if a copy of all tables makes void what it contains."""
    cut: Lsn | None = None
    cut_commit_at: datetime | None = None

    def advanced(self, ledger: Ledger) -> Ledger:
        """The ledger after these batches."""
        whole = self.batches if self.cut is None else self.batches[:-1]
        position = self.anew or max([ledger.position, *(m.position for m in whole[-1:])])
        return Ledger(
            whole[-1].sequence if whole else ledger.last_batch,
            position if self.cut is None else self.cut,
            _latest([*(m.last_commit_at for m in whole), self.cut_commit_at]),
            self.batches[-1].source.system_identifier,
        )


def pending(
    store: Store, ledger: Ledger, wanted: Collection[TableName], upto: Upto | None = None
) -> Pending:
    """What landing holds beyond the ledger, no further than `upto`, for the wanted tables.

    LandingBroken if a batch is missing or does not follow the one before it, or another production
    was landed.
    """
    standing = [t.last_batch for t in ledger.tables.values() if t.state is State.QUARANTINED]
    start = min([ledger.last_batch, *standing])
    chain = _chain(store, after=start)
    require_not_behind(store, chain, ledger)
    found = [m for m in chain if upto is None or m.sequence <= upto.last]
    fresh = tuple(m for m in found if m.sequence > ledger.last_batch)
    require_same_batches(store, ledger, fresh)
    if not fresh:
        return Pending((), {})
    require_sequel(fresh[0], ledger)
    require_one_production(fresh, ledger)
    if any(m.kind is BatchKind.COPY and m.to_lsn < ledger.position for m in fresh):
        # A copy from before what was applied: changes since then must be read a second time.
        found = from_base([m for m in manifests(store) if m.sequence <= fresh[-1].sequence])
    cut = upto.cut if upto is not None and upto.last == fresh[-1].sequence else None
    # What a new copy does not contain is not there any more, also if staging had come further.
    anew = max(m.position for m in found) if any(map(begins_anew, fresh)) else None
    windows = (_window(table, found, ledger.tables.get(table)) for table in sorted(wanted))
    return Pending(
        fresh,
        _reaching(store, (replace(window, ceiling=cut) for window in windows)),
        tuple(found),
        anew,
        cut,
        None if cut is None else last_commit_before(store, fresh[-1], cut),
    )


def whole_windows(
    store: Store, found: Sequence[Manifest], tables: Collection[TableName]
) -> Mapping[TableName, Window]:
    """What an empty staging would need of these batches, for each table that has any."""
    return _reaching(store, (_window(table, found, None) for table in sorted(tables)))


def _chain(store: Store, after: int) -> list[Manifest]:
    """The manifests after this one, each of which follows the one before it."""
    chain = []
    before = read_digested(store, after) if store.exists(manifest_path(after)) else None
    for manifest, digest in digested(store, after=after):
        # Whether a number is missing is said elsewhere, in better words.
        if before is not None and manifest.sequence == before[0].sequence + 1:
            require_sound(fault_between(*before, manifest))
        chain.append(manifest)
        before = manifest, digest
    return from_base(chain)


def _window(table: TableName, found: Sequence[Manifest], known: AppliedTable | None) -> Window:
    since = known.last_batch if known else 0
    copies = [m for m in found if m.sequence > since and m.kind is BatchKind.COPY and _of(table, m)]
    if copies:
        copy = copies[-1]
        later = [m for m in found if m.kind is BatchKind.STREAM and m.to_lsn > copy.to_lsn]
        complete = not later or min(m.from_lsn for m in later) <= copy.to_lsn
        # Rows of a base keep the positions that they had.
        floor = copy.to_lsn if copy.folded is None else ZERO
        parts = _parts(table, [copy, *later], copy)
        return Window(table, parts, floor, copy.to_lsn, complete)
    later = [m for m in found if m.sequence > since]
    if known is None or known.copy_position is None:
        # Changes of a table that was never copied: without its rows they would make half a table,
        # so they wait in landing for the copy.
        return Window(table, _parts(table, later), ZERO, None, complete=False)
    floor = max(known.position, known.copy_position)
    complete = not later or later[0].sequence == since + 1
    return Window(table, _parts(table, later), floor, None, complete)


def _reaching(store: Store, windows: Iterable[Window]) -> dict[TableName, Window]:
    """The windows that are not empty, without files all of whose events do not count.

    The batch in which the copy's position, or staging's, lies may hold changes from before, in the
    shape that the table had then, and the last one changes from after the ceiling. They must not be
    compared with what is applied.
    """
    found = {}
    for window in windows:
        parts = tuple(part for part in window.parts if _counts(store, window, part))
        if parts:
            found[window.table] = replace(window, parts=parts)
    return found


def _counts(store: Store, window: Window, part: Part) -> bool:
    if part.kind is BatchKind.COPY:
        return True
    floor = window.floor if window.copied_at is None else window.copied_at
    if part.from_lsn < floor and positions_in(store, part.file.path)[1] < floor:
        return False
    ceiling = window.ceiling
    if ceiling is None or part.to_lsn <= ceiling:
        return True
    return positions_in(store, part.file.path)[0] < ceiling


def _parts(
    table: TableName, batches: Sequence[Manifest], copy: Manifest | None = None
) -> tuple[Part, ...]:
    return tuple(
        Part(file, batch.kind, _since(batch, file), batch.to_lsn)
        for batch in sorted(batches, key=lambda m: (m.to_lsn, m.sequence))
        for file in (_of(table, batch) if copy is None else on_top_of(copy, batch, table))
    )


def _since(batch: Manifest, file: LandedFile) -> Lsn:
    known = batch.folded.since if batch.folded is not None else ()
    return dict(known).get(file.path, batch.from_lsn)


def _of(table: TableName, batch: Manifest) -> list[LandedFile]:
    return [file for file in batch.files if file.table == table]


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)
