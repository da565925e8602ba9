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
from analytics_replica.domain.verdicts import Finding
from analytics_replica.errors import LandingBroken
from analytics_replica.landing.beside import on_top_of
from analytics_replica.landing.contiguity import fault_between
from analytics_replica.landing.layout import Store, manifest_path
from analytics_replica.landing.manifest import (
    digested,
    manifests,
    read_digested,
    read_manifest,
    sequences,
)
from analytics_replica.staging.footers import last_lsn
from analytics_replica.staging.ledger import AppliedTable, Ledger, State


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

    Events before `floor` are contained already and do not count. `copied_at` is the position of
    the copy that the window begins with, None if it begins with changes. `complete` says that no
    batch between what is contained and the window is missing; it is false for changes of a table
    that was never copied.
    """

    table: TableName
    parts: tuple[Part, ...]
    floor: Lsn
    copied_at: Lsn | None
    complete: bool

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

    `found` are all batches that some table does not contain yet, in order.
    """

    batches: tuple[Manifest, ...]
    windows: Mapping[TableName, Window]
    found: tuple[Manifest, ...] = ()
    anew: Lsn | None = None
    """Where staging stands afterwards if a copy of all tables makes void what it contains."""

    def advanced(self, ledger: Ledger) -> Ledger:
        """The ledger after these batches."""
        last = self.batches[-1]
        return Ledger(
            last.sequence,
            self.anew or max(ledger.position, last.position),
            _latest(m.last_commit_at for m in self.batches),
            last.source.system_identifier,
        )


def pending(
    store: Store, ledger: Ledger, wanted: Collection[TableName], upto: int | None = None
) -> Pending:
    """What landing holds beyond the ledger, up to the batch `upto`, for the wanted tables.

    LandingBroken if a batch is missing or does not follow the one before it, or another production
    was landed.
    """
    standing = [t.last_batch for t in ledger.tables.values() if t.state is State.QUARANTINED]
    start = min([ledger.last_batch, *standing])
    chain = _chain(store, after=start)
    _require_not_behind(store, chain, ledger)
    found = [m for m in chain if upto is None or m.sequence <= upto]
    fresh = tuple(m for m in found if m.sequence > ledger.last_batch)
    _require_same_batches(store, ledger, fresh)
    if not fresh:
        return Pending((), {})
    _require_sequel(fresh[0], ledger)
    _require_one_production(fresh, ledger)
    if any(m.kind is BatchKind.COPY and m.to_lsn < ledger.position for m in fresh):
        # A copy from before what was applied: changes since then must be read a second time.
        found = _from_base([m for m in manifests(store) if m.sequence <= fresh[-1].sequence])
    windows = (_window(table, found, ledger.tables.get(table)) for table in sorted(wanted))
    # What a new copy does not contain is not there any more, also if staging had come further.
    anew = max(m.position for m in found) if any(map(_begins_anew, fresh)) else None
    return Pending(
        fresh, {w.table: _reaching(store, w) for w in windows if w.parts}, tuple(found), anew
    )


def whole_windows(
    store: Store, found: Sequence[Manifest], tables: Collection[TableName]
) -> Mapping[TableName, Window]:
    """What an empty staging would need of these batches, for each table that has any."""
    windows = (_window(table, found, None) for table in sorted(tables))
    return {w.table: _reaching(store, w) for w in windows if w.parts}


def _chain(store: Store, after: int) -> list[Manifest]:
    """The manifests after this one, each of which follows the one before it."""
    chain = []
    before = read_digested(store, after) if store.exists(manifest_path(after)) else None
    for manifest, digest in digested(store, after=after):
        # Whether a number is missing is said elsewhere, in better words.
        if before is not None and manifest.sequence == before[0].sequence + 1:
            _require_sound(fault_between(*before, manifest))
        chain.append(manifest)
        before = manifest, digest
    return _from_base(chain)


def _from_base(chain: list[Manifest]) -> list[Manifest]:
    """The same without what a base stands for: a fold that was killed may have left some of it."""
    bases = [position for position, m in enumerate(chain) if m.folded is not None]
    return chain[bases[-1] :] if bases else chain


def _require_sound(fault: Finding | None) -> None:
    if fault is not None:
        raise LandingBroken(
            what=f"Landing is not whole: {fault}.",
            why="Applying what follows could lose changes, so nothing was applied.",
            next="Restore the manifests from a backup of landing, or copy the tables again with "
            "`analytics-replica capture --first-copy`.",
        )


def _require_not_behind(store: Store, chain: Sequence[Manifest], ledger: Ledger) -> None:
    newest = chain[-1].sequence if chain else 0
    if newest < ledger.last_batch and not store.exists(manifest_path(ledger.last_batch)):
        raise LandingBroken(
            what=f"Landing ends earlier, but staging already contains batch {ledger.last_batch}.",
            why="Manifests were lost, or landing was restored from an older backup; new batches "
            "would take the numbers of those that are gone and never be applied.",
            next="Restore the newer manifests, or give landing and staging a new beginning: "
            "an empty landing and warehouse, then `analytics-replica capture`.",
        )


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


def _reaching(store: Store, window: Window) -> Window:
    """The window without files that end before the copy it begins with.

    The batch in which the copy's position lies may hold changes from before, in the shape that the
    table had then; what the copy voids must not be compared with what it brings.
    """
    if window.copied_at is None:
        return window
    at = window.copied_at
    parts = tuple(
        part
        for part in window.parts
        if part.kind is BatchKind.COPY
        or part.from_lsn >= at
        or last_lsn(store, part.file.path) >= at
    )
    return replace(window, parts=parts)


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


def _begins_anew(batch: Manifest) -> bool:
    """A copy of all tables: whatever was applied or landed before it is void."""
    return batch.kind is BatchKind.COPY and batch.from_lsn == batch.to_lsn


def _require_same_batches(store: Store, ledger: Ledger, fresh: Sequence[Manifest]) -> None:
    """The batch that staging ends with must be landing's batch of this number.

    A landing that was restored from an older state counts on from there: a number that staging
    has applied would come a second time with other changes, and be passed over.
    """
    if ledger.last_batch == 0 or any(map(_begins_anew, fresh)):
        return
    present = sequences(store)
    if present and present[-1] < ledger.last_batch:
        found = f"ends with batch {present[-1]}"
    elif (
        ledger.last_batch in present
        and read_manifest(store, ledger.last_batch).position > ledger.position
    ):
        found = f"has another batch {ledger.last_batch}"
    else:
        return
    raise LandingBroken(
        what=f"Staging contains batch {ledger.last_batch} up to {ledger.position}, but landing "
        f"{found}.",
        why="Landing was restored from an older state; going on would pass over changes.",
        next="Restore landing's newer manifests, or run `analytics-replica recover`, which takes a "
        "new copy.",
    )


def _require_sequel(first: Manifest, ledger: Ledger) -> None:
    expected = ledger.last_batch + 1
    begins_anew = _begins_anew(first) or (ledger.last_batch == 0 and first.kind is BatchKind.COPY)
    if first.sequence != expected and not begins_anew:
        raise LandingBroken(
            what=f"Staging needs batch {expected} next, but landing goes on with {first.sequence}.",
            why="Applying the later ones would lose the changes in between.",
            next="Restore the missing manifests from a backup of landing, or copy the tables again "
            "with `analytics-replica capture --first-copy`.",
        )


def _require_one_production(batches: Sequence[Manifest], ledger: Ledger) -> None:
    known = {m.source.system_identifier for m in batches}
    if ledger.system_identifier is not None:
        known.add(ledger.system_identifier)
    if len(known) > 1:
        raise LandingBroken(
            what="Landing holds batches of another production than staging "
            f"(system identifiers {', '.join(sorted(known))}).",
            why="Positions of two servers cannot be compared; rows of both would be mixed.",
            next="Give the new production a landing and a warehouse of its own, or rebuild staging "
            "from a landing that holds only its batches.",
        )


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)
