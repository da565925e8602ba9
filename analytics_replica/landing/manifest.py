"""Batch manifests: the record that makes landed files real.

Here: writing, reading and listing manifests, and verifying that a batch's files are what its
manifest says. A batch exists when its manifest does. Not here: which batches follow each other
(contiguity.py), what takes their place when they are old
(staging.fold).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from analytics_replica.domain.batches import (
    BatchKind,
    Catalog,
    CatalogTable,
    Folded,
    LandedColumn,
    LandedFile,
    Manifest,
    SlotState,
    SourceIdentity,
)
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import Column, TableName
from analytics_replica.errors import LandingBroken, ManifestUnreadable
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import FOLDING, MANIFESTS, Store, manifest_path

FORMAT: Final = 1
"""Counts incompatible changes of the manifest's JSON."""

AT_ONCE: Final = 50
"""Manifests that are asked for together."""


def to_json(manifest: Manifest) -> bytes:
    """The manifest as JSON; equal manifests give equal bytes."""
    body = {"format": FORMAT, **_plain(manifest)}
    if manifest.folded is None:
        del body["folded"]
    return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False).encode()


def from_json(data: bytes, path: str) -> Manifest:
    """The manifest that `to_json` wrote; ManifestUnreadable, naming the path, if it is not one."""
    try:
        return _manifest(json.loads(data))
    except (ValueError, KeyError, TypeError):
        raise ManifestUnreadable(
            what=f"The manifest {path} is damaged or of another version.",
            why="Its batch cannot be trusted, and neither can what follows it.",
            next="Restore the file from a backup of landing, or run "
            "`analytics-replica recover`, which takes a new copy.",
        ) from None


def digest(data: bytes) -> str:
    """The SHA-256 of the bytes, in hex: what `previous` and `sha256` hold."""
    return hashlib.sha256(data).hexdigest()


def publish_manifest(store: Store, manifest: Manifest) -> str:
    """Makes the batch exist; returns the digest that the next manifest must name.

    LandingError if a manifest with this sequence is already there.
    """
    data = to_json(manifest)
    written = store.unfinished()
    with disk_errors("writing a manifest"):
        written.write_bytes(data)
    store.publish(written, manifest_path(manifest.sequence), exclusive=True)
    return digest(data)


def replace_manifest(store: Store, base: Manifest) -> None:
    """Makes the base exist in the place of the last batch that it stands for, in one step."""
    written = store.unfinished(FOLDING)
    with disk_errors("writing a manifest"):
        written.write_bytes(to_json(base))
    store.publish(written, manifest_path(base.sequence))


def manifests(store: Store, *, after: int = 0) -> Iterator[Manifest]:
    """All batches with a greater sequence than `after`, in order.

    LandingBroken if one in between is missing; ManifestUnreadable if one cannot be read. Those
    that are folded meanwhile are passed over: the base that stands for them comes instead.
    """
    return (manifest for manifest, _ in digested(store, after=after))


def digested(store: Store, *, after: int = 0) -> Iterator[tuple[Manifest, str]]:
    """The same, each with the digest that the next one must name.

    That is of its bytes as they are, not of what we would write today, for an older manifest has
    fewer fields; a base has the digest of the batch that it stands for.
    """
    expected = None
    ahead = _ReadAhead(store, [number for number in sequences(store) if number > after])
    for sequence in ahead.sequences:
        if expected is not None and sequence != expected and not was_folded(store, expected):
            raise missing_batch(expected, sequence)
        expected = sequence + 1
        try:
            yield _digested(ahead.read(sequence), manifest_path(sequence))
        except LandingBroken:
            if not was_folded(store, sequence):
                raise
            expected = None


def sequences(store: Store) -> list[int]:
    """The numbers of all batches, in order, as they are: gaps are for others to judge."""
    return [_sequence(name) for name in store.names(MANIFESTS)]


def missing_batch(absent: int, present: int) -> LandingBroken:
    """The error for a batch without a manifest before one that has it."""
    return LandingBroken(
        what=f"Batch {absent} has no manifest, but batch {present} has.",
        why="A batch in the middle is missing; applying the later ones would lose it.",
        next=f"Restore {manifest_path(absent)} from a backup of landing, or run "
        "`analytics-replica recover`, which takes a new copy.",
    )


def read_manifest(store: Store, sequence: int) -> Manifest:
    """The manifest of this batch."""
    return read_digested(store, sequence)[0]


def read_digested(store: Store, sequence: int) -> tuple[Manifest, str]:
    """The manifest of this batch and the digest of its bytes as they are."""
    return _read_digested(store, manifest_path(sequence))


def was_folded(store: Store, sequence: int) -> bool:
    """True if a base stands for this batch, so that it need not be there."""
    for later in reversed(sequences(store)):
        if later < sequence:
            return False
        # One that is gone by now was before a base, which comes in the same listing.
        with contextlib.suppress(LandingBroken):
            if read_manifest(store, later).folded is not None:
                return True
    return False


def last_manifest(store: Store) -> tuple[Manifest, str] | None:
    """The newest batch and the digest that the next one must name; None if nothing was landed."""
    names = store.names(MANIFESTS)
    if not names:
        return None
    return _read_digested(store, f"{MANIFESTS}/{names[-1]}")


def verify_file(store: Store, file: LandedFile) -> None:
    """LandingBroken, naming the file, unless its bytes are the ones that were landed."""
    if store.fingerprint(file.path) != (file.bytes, file.sha256):
        raise LandingBroken(
            what=f"{file.path} is not the file that was landed (its checksum differs).",
            why="Applying it could put wrong rows into staging.",
            next="Restore the file from a backup of landing, or copy the table again with "
            "`analytics-replica capture --first-copy`.",
        )


@dataclass
class _ReadAhead:
    """Manifests on the way from an object store, some at once: each alone takes a round trip."""

    store: Store
    sequences: list[int]
    _found: dict[int, bytes | None] = field(default_factory=dict)

    def read(self, sequence: int) -> bytes:
        """The manifest's bytes; LandingBroken if it is not there."""
        if self.store.local is None and sequence not in self._found:
            at = self.sequences.index(sequence)
            some = self.sequences[at : at + AT_ONCE]
            found = self.store.read_some([manifest_path(number) for number in some])
            self._found = dict(zip(some, found, strict=True))
        data = self._found.pop(sequence, None)
        return self.store.read(manifest_path(sequence)) if data is None else data


def _read_digested(store: Store, path: str) -> tuple[Manifest, str]:
    return _digested(store.read(path), path)


def _digested(data: bytes, path: str) -> tuple[Manifest, str]:
    manifest = from_json(data, path)
    return manifest, digest(data) if manifest.folded is None else manifest.folded.digest


def _sequence(name: str) -> int:
    stem = name.removesuffix(".json")
    if not stem.isdecimal():
        raise ManifestUnreadable(
            what=f"{MANIFESTS}/{name} is not a manifest.",
            why="Something else writes into landing's directory.",
            next="Move the file away.",
        )
    return int(stem)


def _plain(value: Any) -> Any:
    match value:
        case Lsn():
            return str(value)
        case TableName():
            return [value.schema, value.name]
        case StrEnum():
            return value.value
        case datetime():
            return value.isoformat()
        case tuple():
            return [_plain(part) for part in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return {field.name: _plain(getattr(value, field.name)) for field in fields}
        case _:
            return value


def _manifest(body: dict[str, Any]) -> Manifest:
    if body["format"] != FORMAT:
        raise ValueError("another format")
    source, slot = body["source"], body["slot"]
    last = body["last_commit_at"]
    return Manifest(
        sequence=body["sequence"],
        kind=BatchKind(body["kind"]),
        from_lsn=Lsn.parse(body["from_lsn"]),
        to_lsn=Lsn.parse(body["to_lsn"]),
        source=SourceIdentity(**source),
        slot=SlotState(
            **{
                **slot,
                "restart_lsn": Lsn.parse(slot["restart_lsn"]),
                "confirmed_lsn": Lsn.parse(slot["confirmed_lsn"]),
            }
        ),
        policy=body["policy"],
        files=tuple(_file(file) for file in body["files"]),
        transactions=body["transactions"],
        last_commit_at=None if last is None else datetime.fromisoformat(last),
        captured_at=datetime.fromisoformat(body["captured_at"]),
        previous=body["previous"],
        incomplete=tuple(TableName(*table) for table in body.get("incomplete", ())),
        published=tuple((TableName(*t), token) for t, token in body.get("published", ())),
        catalog=_catalog(body.get("catalog")),
        folded=_folded(body.get("folded")),
        keys=tuple((key_id, check) for key_id, check in body.get("keys", ())),
        beside=tuple(_file(file) for file in body.get("beside", ())),
        definitions=body.get("definitions", ""),
    )


def _folded(body: dict[str, Any] | None) -> Folded | None:
    if body is None:
        return None
    since = tuple((path, Lsn.parse(at)) for path, at in body["since"])
    return Folded(body["digest"], body["batches"], datetime.fromisoformat(body["at"]), since)


def _catalog(body: dict[str, Any] | None) -> Catalog | None:
    if body is None:
        return None
    tables = tuple(CatalogTable.of_body(table) for table in body["tables"])
    return Catalog(Lsn.parse(body["at"]), tables)


def _file(body: dict[str, Any]) -> LandedFile:
    columns = tuple(
        LandedColumn(**{**column, "column": _column(tuple(sorted(column["column"].items())))})
        for column in body["columns"]
    )
    return LandedFile(**{**body, "table": TableName(*body["table"]), "columns": columns})


@lru_cache(maxsize=4096)
def _column(items: tuple[tuple[str, Any], ...]) -> Column:
    # Thousands of manifests repeat the same few columns: one object each keeps memory flat.
    return Column(**dict(items))
