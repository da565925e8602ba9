"""Where each masking key is: in replica.yaml, landing, staging, the editions of gold.

Here: reading all of these places and what follows for each key. Not here: the command that shows
it (keys.py), changing anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from analytics_replica.domain.batches import BatchKind, Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import ReplicaError
from analytics_replica.landing.beside import keys_in
from analytics_replica.landing.landed_keys import landed_key
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.masking.key_versions import check_value, keyed_tables, keys_named
from analytics_replica.masking.policy import Policy
from analytics_replica.postgres.connect import Connection, connection
from analytics_replica.serving.editions import Edition, published_edition
from analytics_replica.serving.history import last_publication_of
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.staging import ledger


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One key id: where its key comes from, its check value, and what still has its tokens.

    `check` is None if the key is not in replica.yaml any more and no manifest recorded it.
    """

    key_id: str
    source: str
    check: str | None
    active: bool
    needed_by: tuple[str, ...]

    @property
    def removable(self) -> bool:
        """True if the key is in replica.yaml and nothing has its tokens any more."""
        return not self.active and not self.needed_by and self.source != "gone"


@dataclass(frozen=True, slots=True)
class TableKeys:
    """The keys of one table's newest files and of its table in staging; None without tokens."""

    table: TableName
    landed: str | None
    staged: str | None


@dataclass
class KeyPlaces:
    """Everything that is known; `pending` says that landing is not under the active key yet."""

    keys: tuple[KnownKey, ...] = ()
    tables: tuple[TableKeys, ...] = ()
    editions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pending: bool = False
    troubles: list[str] = field(default_factory=list)


@dataclass
class _Found:
    """What each place has: key ids by table, editions by key ids."""

    current: str | None = None
    landed: dict[TableName, str] = field(default_factory=dict)
    in_batches: set[str] = field(default_factory=set)
    staged: dict[TableName, str] = field(default_factory=dict)
    editions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    """Editions that are older than landing's base, which does not say their keys."""
    checks: dict[str, str] = field(default_factory=dict)

    def needing(self) -> Mapping[str, list[str]]:
        """For each key id what still has tokens of it, the most pressing first."""
        needing: dict[str, list[str]] = defaultdict(list)
        if self.current is not None:
            needing[self.current].append("captures")
        for place, keys in (
            ("staging", set(self.staged.values())),
            ("old batches", self.in_batches - {self.current}),
            *((edition, keys) for edition, keys in self.editions.items()),
        ):
            for key_id in keys:
                needing[key_id].append(place)
        return needing


def key_places(settings: Settings) -> KeyPlaces:
    """Which key is where, as far as it can be read; what cannot is a trouble, and needs all keys.

    SettingsInvalid if a key cannot be read or protects nothing.
    """
    keys, masking = masking_keys(settings), settings.replica.masking
    policy, store = Policy.from_settings(settings), Store.of(settings)
    found, places = _Found(), KeyPlaces()
    try:
        batches = list(manifests(store))
        found.current = landed_key(store, policy)
        _read_landing(batches, found)
        with connection(settings.secrets.get(settings.replica.warehouse.dsn)) as opened:
            _read_warehouse(opened, batches, found)
    except ReplicaError as cause:
        places.troubles.append(f"{cause.what} Until it can be read, remove no key.")
    found.checks |= {key_id: check_value(key) for key_id, key in keys.by_id.items()}
    needing = found.needing()
    unsure = [f"perhaps {edition} (older than landing's base)" for edition in found.unknown]
    unsure += ["what could not be read"] if places.troubles else []
    places.keys = tuple(
        KnownKey(
            key_id,
            _source(settings, key_id),
            found.checks.get(key_id),
            key_id == masking.active_key,
            (*needing.get(key_id, ()), *unsure),
        )
        for key_id in sorted({*keys.by_id, *needing})
    )
    places.tables = tuple(
        TableKeys(table, found.landed.get(table), found.staged.get(table))
        for table in sorted(keyed_tables(policy))
    )
    places.editions = found.editions | dict.fromkeys(found.unknown, ())
    places.pending = found.current not in (None, masking.active_key)
    return places


def _read_landing(batches: Iterable[Manifest], found: _Found) -> None:
    for batch in batches:
        found.checks.update(batch.keys)
        found.in_batches |= keys_in((*batch.files, *batch.beside))
        for file in batch.files:
            if keys := keys_in([file]):
                found.landed[file.table] = min(keys)


def _read_warehouse(opened: Connection, batches: Collection[Manifest], found: _Found) -> None:
    for table, known in ledger.tables(opened).items():
        if named := keys_named(column.treatment for column in known.columns):
            found.staged[table] = min(named)
    for edition in Edition if _serves(opened) else ():
        given = last_publication_of(opened, edition)
        if given is not None:
            keys = _keys_at(batches, given.position)
            if keys is None:
                found.unknown.append(edition.value)
            else:
                found.editions[edition.value] = keys


def _serves(opened: Connection) -> bool:
    """Whether anything was ever published: before, there is no history to ask."""
    return published_edition(opened) is not None


def _keys_at(batches: Collection[Manifest], position: Lsn) -> tuple[str, ...] | None:
    """The keys that staging may have had when it showed this position of production.

    Two if the key changed at this very position: whether before or after the build, nobody knows.
    None if landing does not remember: a base stands for the batches up to there.
    """
    if any(batch.folded is not None and batch.position >= position for batch in batches):
        return None
    keys: set[str] = set()
    for batch in batches:
        changes_over = batch.kind is BatchKind.COPY and batch.keys
        if not batch.keys or batch.position > position:
            continue
        now = {key_id for key_id, _ in batch.keys}
        keys = keys | now if changes_over and batch.position == position else now
    return tuple(sorted(keys))


def _source(settings: Settings, key_id: str) -> str:
    at = settings.replica.masking.keys.get(key_id)
    if at is None:
        return "gone"
    return f"environment variable {at.env}" if at.env is not None else f"file {at.file}"
