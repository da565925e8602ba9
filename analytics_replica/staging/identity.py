"""Is it still the same table? What production's catalog said with each capture, compared.

Here: finding that a table, a column or its key was replaced, of which no row of the log tells. Not
here: the shapes of files (shapes.py), what follows from it (attempt.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from analytics_replica.domain.batches import BatchKind, Catalog, CatalogTable, Manifest
from analytics_replica.domain.tables import TableName
from analytics_replica.staging.ledger import AppliedTable
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.windows import Window


def follow_identity(
    table: TableName,
    known: AppliedTable | None,
    window: Window | None,
    found: Sequence[Manifest],
) -> CatalogTable | None:
    """The table as the catalog had it last; None if no capture ever said.

    `found` are manifests in order; those that `known` contains already, or that a copy in the
    window voids, do not count. TableQuarantined if staging's rows and the log's changes may be of
    different tables, columns or keys.
    """
    last = known.identity if known is not None else None
    copied_at = window.copied_at if window is not None else None
    if copied_at is not None:
        last = None
    for kind, catalog in _looks(known, window, found):
        seen = catalog.named(table)
        if seen is None and last is not None:
            seen = catalog.numbered(last.oid)
        if seen is None and kind is BatchKind.STREAM:
            raise quarantined(
                table,
                "production no longer publishes it: it was dropped, or left the publication",
            )
        if seen is not None:
            last = seen if last is None else _same(table, last, seen)
    if window is not None:
        _require_one_table(table, last, window)
    return last


def require_no_hole(
    now: CatalogTable, listed: Collection[str], table: TableName, newest: Manifest
) -> None:
    """TableQuarantined if changes of the table may not have been published.

    A column that production dropped, and a name that it changed, also make the newest batch call a
    table incomplete; these are told by other words, and the changes are whole.
    """
    present = {name for name, number in now.columns if number > 0}
    if table in newest.incomplete and now.table == table and present.issuperset(listed):
        raise quarantined(table, "some of its changes were not published")


def _looks(
    known: AppliedTable | None, window: Window | None, found: Sequence[Manifest]
) -> Iterator[tuple[BatchKind, Catalog]]:
    copied_at = window.copied_at if window is not None else None
    since = known.last_batch if known is not None and copied_at is None else 0
    for manifest in found:
        look = manifest.catalog
        if look is None or manifest.sequence <= since:
            continue
        if copied_at is None or look.at >= copied_at:
            yield manifest.kind, look


def _same(table: TableName, before: CatalogTable, now: CatalogTable) -> CatalogTable:
    """What is known after `now`. Columns that went are remembered with negative numbers."""
    if before.oid != now.oid:
        raise quarantined(table, "it was dropped in production and made again")
    numbers, present = dict(before.columns), dict(now.columns)
    replaced = [name for name, number in now.columns if abs(numbers.get(name, number)) != number]
    if replaced:
        raise quarantined(table, f"{', '.join(replaced)} was dropped in production and made again")
    if set(before.key) != set(now.key):
        raise quarantined(table, f"its key changed from {_shown(before.key)} to {_shown(now.key)}")
    gone = ((name, -abs(number)) for name, number in before.columns if name not in present)
    return replace(now, columns=(*now.columns, *gone))


def _require_one_table(table: TableName, last: CatalogTable | None, window: Window) -> None:
    oids = {file.oid for file in window.files if file.oid}
    if len(oids | ({last.oid} if last is not None else set())) > 1:
        raise quarantined(table, "it was dropped in production and made again")
    flaw = next((file.flaw for file in window.files if file.flaw), None)
    if flaw is not None:
        raise quarantined(table, f"replica.yaml does not fit it any more: {flaw}")


def _shown(names: Sequence[str]) -> str:
    return f"({', '.join(names)})" if names else "none"
