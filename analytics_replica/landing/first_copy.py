"""The first copy, and what every copy shares: the physical copy it reads, the batch it becomes.

Here: choosing and opening the physical copy, the copy of all tables that begins (or begins anew)
the stream, publishing a copy's files as a batch. Not here: reading rows (initial_copy.py), copies
of some tables (recopy.py, resync.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from analytics_replica.domain.batches import BatchKind, LandedFile, Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.progress import Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import CopyFailed, DemoError
from analytics_replica.landing.anew import continued_by_copy, set_aside_unfit
from analytics_replica.landing.batch import Origin
from analytics_replica.landing.copy_area import FIRST, copy_area
from analytics_replica.landing.definitions import joined, leaving, record, recorded
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.folding import not_folded
from analytics_replica.landing.initial_copy import CopyWork, copy_tables
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import publish_manifest, sequences
from analytics_replica.landing.stream import CaptureWork
from analytics_replica.masking.policy import Policy
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.settings.load import Settings
from analytics_replica.source.base_backup import base_backup, remove_left_over
from analytics_replica.source.catalog_definitions import definitions_of_copy
from analytics_replica.source.catalog_tables import catalog_of_copy
from analytics_replica.source.physical_copy import PhysicalCopy, inspect, prove, standing_still


def take_first_copy(work: CaptureWork, beyond: int = 0) -> None:
    """Lands all tables as they are at one position; the stream goes on from there.

    Its number is greater than `beyond`. What is landed and may not stand before it is set aside.
    Parts that a crash left are used again if the physical copy still stands where it stood.
    """
    work.last = continued_by_copy(work.store, work.origin, work.clock.now(), beyond)
    source = work.settings.replica.source
    with physical_copy(work.settings, work.server_version // 10_000, work.progress) as copy:
        prove(copy, work.origin.source, work.origin.slot.confirmed_lsn)
        about = described(work.store, work.origin, copy, work.policy, work.clock.now())
        # Production was asked before the copy was made; staging must not go back behind the copy.
        work.origin = replace(work.origin, definitions=about.definitions)
        copying = CopyWork(
            work.policy,
            work.policy,
            work.keys,
            source.publication,
            source.copy_workers,
            work.progress,
            work.reached,
            # Where something was landed before, this is a repair.
            again=bool(sequences(work.store)),
        )
        with copy_area(work.store, FIRST, about, lasting=copy.lasting) as area:
            files = copy_tables(copy, area, copying)
            with not_folded(work.store, wait=True):
                set_aside_unfit(work.store, work.origin, work.new_batch().sequence)
                publish_copy(
                    work, ((area.folder / file.path, file) for file in files), about.to_lsn, about
                )


@contextlib.contextmanager
def physical_copy(
    settings: Settings, server_major: int, progress: Progress, keeping: str | None = None
) -> Iterator[PhysicalCopy]:
    """The physical copy that replica.yaml names, else a base backup, which is gone afterwards.

    `keeping` names a temporary slot for a base backup that is taken while captures go on.
    """
    source = settings.replica.source
    if source.physical_copy is not None:
        yield inspect(settings.secrets.get(source.physical_copy))
        return
    named = settings.path(source.postgres_bin) if source.postgres_bin else None
    try:
        binaries = binaries_of(server_major, named)
    except DemoError as cause:
        raise CopyFailed(what=cause.what, why=cause.why, next=cause.next) from None
    directory = settings.path(source.copy_directory)
    dsn = settings.secrets.get(source.dsn)
    with base_backup(dsn, directory, binaries, source.copy_checkpoint, progress, keeping) as copy:
        yield copy


def sweep_base_backup(settings: Settings) -> None:
    """Removes the base backup that a crash left behind, with its server."""
    source = settings.replica.source
    named = settings.path(source.postgres_bin) if source.postgres_bin else None
    remove_left_over(settings.path(source.copy_directory), named)


def described(
    store: Store, origin: Origin, copy: PhysicalCopy, policy: Policy, now: datetime
) -> Manifest:
    """The manifest of a copy of the policy's tables before it has files and a place among others.

    Its catalog is the copy's: what production's says now may be of a later day.
    """
    position = copy.position
    with standing_still(copy) as opened:
        catalog = catalog_of_copy(opened, position, origin.source.publication)
        seen = definitions_of_copy(opened, origin.source.publication)
    ours = tuple(table for table in catalog.tables if table.table in policy.tables)
    return Manifest(
        sequence=0,
        kind=BatchKind.COPY,
        from_lsn=position,
        to_lsn=position,
        source=origin.source,
        slot=origin.slot,
        policy=origin.policy,
        files=(),
        transactions=0,
        last_commit_at=None,
        captured_at=now,
        previous="",
        catalog=replace(catalog, tables=ours),
        keys=origin.keys,
        definitions=record(store, leaving(seen, policy, position)),
    )


def publish_copy(
    work: CaptureWork, files: Iterable[tuple[Path, LandedFile]], from_lsn: Lsn, about: Manifest
) -> None:
    """Makes these files a batch that holds their tables as they are at `about.to_lsn`.

    The files stay where they are, too: after a crash before the manifest they are still a copy.
    """
    batch = work.new_batch()  # only for its place in the chain: its files are there already
    work.reached("file written")
    landed = tuple(_published(work.store, batch.sequence, files))  # 1. no manifest names them
    work.reached("manifest")
    manifest = replace(
        about,
        sequence=batch.sequence,
        from_lsn=from_lsn,
        source=work.origin.source,
        slot=work.origin.slot,
        policy=work.origin.policy,
        files=landed,
        captured_at=work.clock.now(),
        previous=batch.previous,
        incomplete=tuple(t for t in work.origin.incomplete if t not in {f.table for f in landed}),
        published=work.origin.published,
        keys=work.origin.keys,
        definitions=_definitions(work, about),
    )
    digest = publish_manifest(work.store, manifest)  # 2. now the batch exists
    work.reached("confirm")
    work.has_landed(manifest, digest)


def _definitions(work: CaptureWork, about: Manifest) -> str:
    newer, older = (recorded(work.store, m.definitions) for m in (work.origin, about))
    return record(work.store, joined(newer, older, work.position))


def _published(
    store: Store, sequence: int, files: Iterable[tuple[Path, LandedFile]]
) -> Iterator[LandedFile]:
    parts: dict[TableName, int] = {}
    for written, file in files:
        part = parts[file.table] = parts.get(file.table, 0) + 1
        path = store.data_path(file.table, sequence, part)
        again = store.unfinished()
        with disk_errors(f"landing {file.table}"):
            os.link(written, again)
        store.publish(again, path)
        yield replace(file, path=path)
