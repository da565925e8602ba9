"""Verifying an erasure: every store, one after the other, and the receipt.

Here: which stores there are, when what is found in each of them goes, and what the receipt says.
Not here: the searches (warehouse.py, files.py). Nothing is changed anywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import psycopg2

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import Clock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SettingsInvalid
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.masking.policy import Policy
from analytics_replica.postgres.connect import Connection, connect, refused
from analytics_replica.serving.editions import Edition, published_edition
from analytics_replica.serving.erasure.due import leaves_history, leaves_staging
from analytics_replica.serving.erasure.files import search_bytes, search_landing
from analytics_replica.serving.erasure.recorded import Past, past_of
from analytics_replica.serving.erasure.request import Elsewhere, Receipt, Request
from analytics_replica.serving.erasure.search import Searched, together
from analytics_replica.serving.erasure.traces import Person, person_of
from analytics_replica.serving.erasure.wanted import printed
from analytics_replica.serving.erasure.warehouse import search_schema
from analytics_replica.serving.relations import stored_in
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.settings.secrets import MaskingKeys
from analytics_replica.staging import ledger as ledgers
from analytics_replica.staging.ledger import Ledger
from analytics_replica.staging.side import side_schemas

FORMAT: Final = 1

LIMITS: Final = (
    "Production was not queried: whether it still has the person is not known here.",
    "A key that never existed looks like one that was erased.",
    "Kept keys and values are searched by table and column name only, not inside other texts.",
    "Masks that many people share (year, initials, last4, …) leave nothing to search for.",
    "Aggregates that the person once counted in are not undone until they are built anew.",
    "Backups, server logs, free disk space, compressed files, readers' exports: not searched.",
    "Tokens in gold of a key that is not in replica.yaml any more cannot be computed.",
    "In landing, keys of types that Parquet does not have are compared as production prints them.",
)
"""What a receipt does not see."""


def verify_erasure(
    settings: Settings,
    clock: Clock,
    request: Request,
    *,
    by: str,
    elsewhere: Elsewhere | None = None,
    progress: Progress = SILENT,
) -> Receipt:
    """Searches every store for what the masks made of this key and these values.

    PASS if nothing is left anywhere, FAIL with what is left, where, and when it goes; CANNOT_TELL
    if a store could not be read, or its search proves nothing. Changes nothing; holds no lock.
    SettingsInvalid if the table, a column or a value cannot be.
    """
    store = Store.of(settings)
    known = list(manifests(store))
    policy, keys = Policy.from_settings(settings), masking_keys(settings)
    dsn = settings.secrets.get(settings.replica.warehouse.dsn)
    with closing(connect(dsn, application="analytics-replica erasure")) as conn:
        ledger = ledgers.read(conn)
        past = _past(request.table, known, ledger, policy)
        person = _person(request, past, keys, conn)
    search = _Search(settings, person, clock.now(), elsewhere or Elsewhere(), store)
    stores = search.everywhere(progress)
    body = {
        "receipt": "analytics-replica erasure verify",
        "format": FORMAT,
        "outcome": together(stores).value,
        "at": clock.now().isoformat(),
        "by": by,
        "policy": policy.fingerprint,
        "key_ids": sorted(keys.by_id),
        "positions": _positions(known, ledger, settings.replica.landing.retention_days),
        "stores": [_store(searched) for searched in stores],
        "limits": list(LIMITS),
        **_asked(request, person),
    }
    return Receipt(together(stores), body, digest_of(body))


def _past(table: TableName, known: Iterable[Manifest], ledger: Ledger, policy: Policy) -> Past:
    if table not in policy.tables:
        raise _unknown(table, "replica.yaml does not list it")
    past = past_of(table, known, ledger, policy)
    if not past.columns:
        raise _unknown(table, "it was never landed")
    return past


def _person(request: Request, past: Past, keys: MaskingKeys, conn: Connection) -> Person:
    try:
        return person_of(
            past,
            keys,
            lambda given: printed(conn, given),
            key=request.key,
            values=request.values,
            named=request.named,
        )
    except psycopg2.Error as cause:
        raise refused(cause, "comparing a key with its type") from None


def _asked(request: Request, person: Person) -> dict[str, Any]:
    return {
        "reference": person.reference,
        "table": str(request.table),
        "key_columns": sorted(request.key),
        "value_columns": sorted({column for column, _ in request.values}),
        "traces": sorted({trace.says for trace in person.traces}),
        "nothing_to_search_for": list(person.unseen),
    }


def digest_of(body: Mapping[str, Any]) -> str:
    """The digest by which anybody can tell that the receipt's body was not changed."""
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def key_of(settings: Settings, table: TableName) -> tuple[str, ...]:
    """The names of the table's key columns in order, as it was landed last."""
    known = manifests(Store.of(settings))
    return _past(table, known, Ledger(), Policy.from_settings(settings)).key


@dataclass(frozen=True)
class _Search:
    settings: Settings
    person: Person
    now: datetime
    elsewhere: Elsewhere
    store: Store

    @property
    def dsn(self) -> str:
        return self.settings.secrets.get(self.settings.replica.warehouse.dsn)

    def everywhere(self, progress: Progress) -> list[Searched]:
        stores: list[Searched] = []
        steps = self._steps()
        for done, step in enumerate(steps):
            progress("search", done, len(steps))
            stores.append(step())
        progress("search", len(steps), len(steps))
        return stores

    def _steps(self) -> list[Callable[[], Searched]]:
        warehouse = self.settings.replica.warehouse
        history = partial(leaves_history, self.settings)
        steps: list[Callable[[], Searched]] = [
            partial(
                self._masked,
                "staging",
                warehouse.staging_schema,
                partial(leaves_staging, self.settings),
            ),
            partial(self._masked, "history", warehouse.history_schema, history),
        ]
        with self._warehouse() as conn:
            rebuilt = side_schemas(conn)
        steps += [partial(self._masked, f"rebuilt: {s}", s, lambda _: _DROPPED) for s in rebuilt]
        steps += [lambda edition=edition: self._gold(edition) for edition in Edition]  # type: ignore[misc]
        steps += [self._landing, self._dagster, self._artifacts]
        return steps

    def _masked(self, store: str, schema: str, leaves: Callable[[str], str]) -> Searched:
        own = self.settings.staging_name(self.person.table)
        with self._warehouse() as conn:
            found = search_schema(conn, store, schema, self.person, leaves, own=own)
        return self._with_lost_keys(found)

    def _warehouse(self) -> closing[Connection]:
        return closing(connect(self.dsn, application="analytics-replica erasure"))

    def _with_lost_keys(self, found: Searched) -> Searched:
        """Tokens of a key that is gone cannot be computed, so nobody knows whether they are there.

        Manifests and the ledger name the keys of what is there; of gold nothing does.
        """
        lost = (
            f"tokens of key {key_id}, which is not in replica.yaml" for key_id in self.person.lost
        )
        return replace(found, unreadable=(*found.unreadable, *lost))

    def _gold(self, edition: Edition) -> Searched:
        with self._warehouse() as conn:
            read = published_edition(conn) is edition
            at = "the night after the next (readers see it)" if read else "next nightly"
            return search_schema(conn, edition.value, edition.value, self.person, lambda _: at)

    def _landing(self) -> Searched:
        days = self.settings.replica.landing.retention_days

        def gone(batch: Manifest | None) -> str:
            if batch is None:
                return "when a capture or fold sweeps it, or a person removes it"
            if batch.folded is not None:
                return "next fold that passes the batch with its deletion"
            due = max(batch.captured_at + timedelta(days=days), self.now)
            return f"first fold after {due:%F %H:%M} UTC, if production has deleted it"

        return self._with_lost_keys(search_landing(self.settings, self.person, gone))

    def _dagster(self) -> Searched:
        store = "dagster storage"
        if self.elsewhere.dagster_dsn is None:
            return Searched(store, unreadable=("it is not known where it is",))
        at = "never by itself: something wrote a value there, report it"
        with closing(connect(self.elsewhere.dagster_dsn, application="analytics-replica")) as conn:
            if _EVENTS in stored_in(conn, _SCHEMA):
                found = search_schema(conn, store, _SCHEMA, self.person, lambda _: at)
                return replace(found, not_searched=self.person.why_not_searched())
        return Searched(store, unreadable=(f"Dagster's tables are not in schema {_SCHEMA}",))

    def _artifacts(self) -> Searched:
        at = "when dbt or Dagster writes the file anew, or a person removes it"
        return search_bytes("artifacts and logs", self.elsewhere.folders, self.person, at)


_DROPPED: Final = "when the next rebuild begins, or a person drops the schema"
_SCHEMA: Final = "public"
_EVENTS: Final = "event_logs"
"""The table that every storage of Dagster has."""


def _unknown(table: TableName, why: str) -> SettingsInvalid:
    return SettingsInvalid(
        what=f"{table} cannot be searched for: {why}.",
        why="A receipt about a table that nobody stored would prove nothing.",
        next="Name the table as replica.yaml does.",
    )


def _positions(known: Sequence[Manifest], ledger: Ledger, days: int) -> dict[str, Any]:
    bases = [m for m in known if m.folded is not None]
    plain = [m for m in known if m.folded is None]
    return {
        "staging_position": str(ledger.position),
        "staging_batch": ledger.last_batch,
        "newest_batch": known[-1].sequence,
        "newest_position": str(known[-1].position),
        "newest_captured_at": known[-1].captured_at.isoformat(),
        "base_batch": bases[-1].sequence if bases else None,
        "oldest_batch_captured_at": plain[0].captured_at.isoformat() if plain else None,
        "retention_days": days,
    }


def _store(searched: Searched) -> dict[str, Any]:
    return {
        "store": searched.store,
        "outcome": searched.outcome.value,
        "tables": searched.tables,
        "files": searched.files,
        "rows_or_bytes": searched.rows,
        "found": [asdict(hit) for hit in searched.hits],
        "unreadable": list(searched.unreadable),
        "not_searched": searched.not_searched or None,
    }
