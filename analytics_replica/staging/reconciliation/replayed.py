"""Landing's side: the rows that staging must have by landing alone.

Here: replaying one table's events up to what the ledger contains, as rows to be summed. Not here:
what events mean (compact.py, chosen.py), which files they are in (windows.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.tables import TableName
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests, verify_file
from analytics_replica.postgres.identifiers import Sql, compose, join, number
from analytics_replica.staging.chosen import choose
from analytics_replica.staging.compact import Events, column, open_events
from analytics_replica.staging.ledger import AppliedTable
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.reconciliation.cells import HeldColumn
from analytics_replica.staging.reconciliation.forms import Form, form_of
from analytics_replica.staging.reconciliation.sums import Rows
from analytics_replica.staging.shapes import ShapeColumn, shape_of
from analytics_replica.staging.windows import Window, whole_windows
from analytics_replica.staging.workbench import Workbench

_ALL: Final = "select {columns} 1::bigint as copies from events e"

_NET: Final = "select {columns} e.copies from net e where e.copies > 0"

_CHOSEN: Final = """
-- the events that are left, each with the values that it did not log
select {columns} 1::bigint as copies
from chosen c join events e on e.place = c.place
{supplies}
"""

_CHANGES: Final = """
-- what came and what went before a position
select {columns} (case when e.op = 'd' then -1 else 1 end)::bigint as copies
from events e
where e.lsn < {upto}
"""

_SUPPLY: Final = "left join events {alias} on {alias}.place = c.{at}"


def contained(store: Store, known: AppliedTable) -> list[Manifest]:
    """The batches that staging contains of this table, from the base on if there is one.

    TableQuarantined if the base stands for later batches, too.
    """
    found = list(manifests(store))
    bases = [position for position, m in enumerate(found) if m.folded is not None]
    found = found[bases[-1] :] if bases else found
    if found and found[0].folded is not None and found[0].sequence > known.last_batch:
        raise quarantined(known.table, "landing was folded beyond what staging contains of it")
    return [m for m in found if m.sequence <= known.last_batch]


@dataclass(frozen=True)
class Replay:
    """The rows that are left of one table's landed events.

    `held` are staging's columns: values come in the form that they are hashed in.
    """

    bench: Workbench
    window: Window
    held: tuple[HeldColumn, ...]

    @classmethod
    def of(
        cls,
        bench: Workbench,
        table: TableName,
        found: Sequence[Manifest],
        held: tuple[HeldColumn, ...],
    ) -> Replay:
        """The replay of these batches; TableQuarantined if they do not begin with a copy."""
        window = whole_windows(bench.store, found, {table}).get(table)
        if window is None or window.copied_at is None or not window.complete:
            raise quarantined(table, "landing does not hold it from a copy on")
        return cls(bench, window, held)

    @property
    def names(self) -> set[str]:
        """The columns that landing has."""
        return {c.name for c in shape_of(self.window).columns}

    def require_whole(self) -> None:
        """LandingBroken unless every file is the one that was landed."""
        for file in self.window.files:
            verify_file(self.bench.store, file)

    def rows(self, take: Callable[[Rows], None]) -> None:
        """Hands over the rows that are left, in no order; the same ones each time."""
        events = open_events(self.bench, self.window, shape_of(self.window))
        forms = self._forms(events)
        if not self.window.inserts_only:
            choose(events)
        self._hand_over(self._query(events, forms), events, forms, take)

    def changes(self, upto: Lsn, take: Callable[[Rows], None]) -> None:
        """Hands over the events before this position: copies are 1, and -1 for what went."""
        events = open_events(self.bench, self.window, shape_of(self.window))
        forms = self._forms(events)
        columns = join("", (_selected(i, form, ()) for i, form in forms.items()))
        query = compose(_CHANGES, columns=columns, upto=number(upto.value))
        self._hand_over(query, events, forms, take)

    def _hand_over(
        self, query: Sql, events: Events, forms: Mapping[int, Form], take: Callable[[Rows], None]
    ) -> None:
        for batch in self.bench.reader(query):
            if batch.num_rows:
                columns = {
                    events.shape.columns[i].name: form.given(batch.column(f"c{i}"))
                    for i, form in forms.items()
                }
                copies = batch.column("copies").to_numpy().astype(np.int64)
                take(Rows(columns, batch.num_rows, copies))

    def _query(self, events: Events, forms: Mapping[int, Form]) -> Sql:
        lacking = bool(events.key) and self.window.unchanged and not self.window.inserts_only
        supplied = events.flagged if lacking else ()
        columns = join("", (_selected(i, form, supplied) for i, form in forms.items()))
        if self.window.inserts_only:
            return compose(_ALL, columns=columns)
        if not events.key:
            return compose(_NET, columns=columns)
        supplies = (compose(_SUPPLY, alias=column(i, "s"), at=column(i, "p")) for i in supplied)
        return compose(_CHOSEN, columns=columns, supplies=join(" ", supplies))

    def _forms(self, events: Events) -> dict[int, Form]:
        held = {c.name: c for c in self.held}
        types = self.bench.types(compose("select * from events"))
        return {
            i: self._form(held[described.name], described, types[f"c{i}"])
            for i, described in enumerate(events.shape.columns)
            if described.name in held
        }

    def _form(self, held: HeldColumn, described: ShapeColumn, landed_as: str) -> Form:
        landed = [
            column
            for file in self.window.files
            for column in file.columns
            if column.column.name == described.name
        ]
        return form_of(
            held,
            landed_as,
            described.treatment,
            exact=landed[-1].column if described.exact else None,
            changed=len({(c.staging_type, c.treatment) for c in landed}) > 1,
        )


def _selected(position: int, form: Form, supplied: Sequence[int]) -> Sql:
    value = column(position, of="e")
    if position in supplied:
        value = compose(
            "case when {flag} and c.{p} is not null then {other} else {value} end",
            flag=column(position, "u", "e"),
            p=column(position, "p"),
            other=compose("{s}.{c}", s=column(position, "s"), c=column(position)),
            value=value,
        )
    return compose(
        "{value} as {label}, ", value=compose(form.sql, value=value), label=column(position)
    )
