"""The masking policy: what happens to each column, decided before anything is read.

Here: which treatment each column gets, refusing those that cannot work, and the policy's
fingerprint. Not here: what a treatment is (treatments.py), how a mask changes values (strategies),
applying it (seal.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from analytics_replica.domain.batches import RESERVED_PREFIX
from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.errors import PolicyViolation
from analytics_replica.masking.strategies import STRATEGIES
from analytics_replica.masking.treatments import SEALED, Kind, Treatment
from analytics_replica.postgres.types import why_not_kept
from analytics_replica.settings.load import Settings
from analytics_replica.settings.rules import ColumnRule, Mask


@dataclass(frozen=True, slots=True)
class Fault:
    """A treatment that cannot work on a column of production, why, and what to do."""

    column: str
    reason: str
    then: str

    def refusal(self, table: TableName) -> PolicyViolation:
        """The fault as an error."""
        return PolicyViolation(
            what=f"{table}.{self.column} cannot be treated as replica.yaml says: {self.reason}.",
            why="Nothing of the table was stored.",
            next=self.then,
        )


@dataclass(frozen=True)
class Policy:
    """The treatments of all tables. A table that is not here is not captured."""

    tables: Mapping[TableName, Mapping[str, Treatment]]
    append_only: frozenset[TableName] = frozenset()
    patterns: tuple[tuple[str, Treatment], ...] = ()
    """In order: the first that matches `schema.table.column` treats a column nobody listed."""
    comments: frozenset[TableName] = frozenset()
    """Tables whose comments may leave production, redacted."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Policy:
        """The policy that replica.yaml states."""
        key_id = settings.replica.masking.active_key
        return cls(
            {
                table: {name: _treatment(rule, key_id) for name, rule in rules.columns.items()}
                for table, rules in settings.tables.items()
            },
            frozenset(table for table, rules in settings.tables.items() if rules.append_only),
            tuple((text, _treatment(rule, key_id)) for text, rule in settings.patterns.items()),
            frozenset(table for table, rules in settings.tables.items() if rules.comments),
        )

    @property
    def fingerprint(self) -> str:
        """A digest of every decision: equal policies, equal digests."""
        lines = sorted(
            f"{table}\0{name}\0{treatment.describe()}"
            for table, columns in self.tables.items()
            for name, treatment in columns.items()
        )
        lines += sorted(f"{table} is append-only" for table in self.append_only)
        lines += [f"{pattern}\0{done.describe()}" for pattern, done in self.patterns]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def treatment(self, table: TableName, column: str) -> Treatment:
        """What is done with this column; SEALED if nobody classified it."""
        if (listed := self.tables[table].get(column)) is not None:
            return listed
        name = f"{table.schema}.{table.name}.{column}".lower()
        matching = (done for text, done in self.patterns if _matches(text, name))
        return next(matching, SEALED)

    def published(self, table: TableName) -> tuple[str, ...]:
        """The columns that may leave production: all that are listed and not dropped."""
        columns = self.tables[table]
        return tuple(name for name, done in columns.items() if done.kind is not Kind.DROP)

    def captured(self, table: Table) -> Table:
        """The table as it is captured: of an append-only one nothing identifies a row.

        Every row that was inserted is kept, also one that has the key of another.
        """
        if table.name not in self.append_only:
            return table
        return replace(table, columns=tuple(replace(c, key=False) for c in table.columns))

    def unlisted(self, table: Table) -> tuple[str, ...]:
        """The columns of this table that nobody classified, by name or by pattern."""
        names = (column.name for column in table.columns)
        return tuple(name for name in names if self.treatment(table.name, name) is SEALED)

    def absent(self, table: Table) -> tuple[str, ...]:
        """The columns that the policy lists and production does not have."""
        present = {c.name for c in table.columns}
        return tuple(name for name in self.tables[table.name] if name not in present)

    def check(self, table: Table) -> None:
        """PolicyViolation if a treatment cannot work on this table as production has it."""
        for fault in self.faults(table):
            raise fault.refusal(table.name)

    def faults(self, table: Table) -> Iterator[Fault]:
        """What cannot work on this table as production has it, at most once for each column."""
        seen: dict[str, str] = {}
        for column in table.columns:
            done = self.treatment(table.name, column.name)
            if done.kind is not Kind.DROP:
                other = seen.setdefault(column.name.casefold(), column.name)
                if other != column.name:
                    yield _same_name(column, other)
                    continue
            if (fault := _fault(column, done)) is not None:
                yield fault


def unnameable(column: Column, others: Iterable[str]) -> bool:
    """True if no landed file may have the column: its name is like one of ours or the others'.

    DuckDB and Spark read names without their case: one column would get the other's values.
    """
    name = column.name.casefold()
    return name.startswith(RESERVED_PREFIX) or name in {other.casefold() for other in others}


def _same_name(column: Column, other: str) -> Fault:
    return Fault(
        column.name,
        f"its name differs from {other} only in case, which readers of landed files do not see",
        "Drop one of the two in replica.yaml, or rename it in production.",
    )


def _fault(column: Column, done: Treatment) -> Fault | None:
    if column.name.casefold().startswith(RESERVED_PREFIX):
        return Fault(column.name, "its name begins like our own columns", "Rename the column.")
    if column.key and done.kind in (Kind.DROP, Kind.SEALED):
        return Fault(
            column.name,
            f"it identifies rows and the policy says {done.kind.value}",
            "Keep it, or give it a mask that keeps values apart (token).",
        )
    if done.kind is Kind.KEEP and (reason := why_not_kept(column)) is not None:
        return Fault(
            column.name,
            f"{reason}, which change without a word in the log",
            "Drop the column; docs/reference/types.md names these types.",
        )
    return None if done.mask is None else _mask_fault(column, done.mask)


def _mask_fault(column: Column, mask: Mask) -> Fault | None:
    strategy = STRATEGIES[mask.name]
    if column.key and not _keeps_unique(mask):
        return Fault(
            column.name,
            f"mask {mask.mask} would make different rows equal",
            "Use a mask that keeps values apart on a key (token, as hex or uuid).",
        )
    if not strategy.fits(column, elements=mask.elements):
        elements = "its elements' type" if mask.elements else "its type"
        return Fault(
            column.name,
            f"mask {mask.mask} does not fit {elements} {column.type_name}",
            "Use token, constant or null, which fit every type; `elements: true` is for arrays.",
        )
    if strategy.keyed and (reason := why_not_kept(column)) is not None:
        return Fault(
            column.name,
            f"{reason}, so equal ones would get different tokens",
            "Drop the column, or mask it with null or constant.",
        )
    return None


def _keeps_unique(mask: Mask) -> bool:
    folds = mask.normalise not in (None, "none") or mask.as_ == "int64"
    return STRATEGIES[mask.name].keeps_unique and not folds


def _matches(pattern: str, name: str) -> bool:
    parts = (re.escape(part) for part in pattern.lower().split("*"))
    return re.fullmatch(".*".join(parts), name, re.DOTALL) is not None


def _treatment(rule: ColumnRule, key_id: str) -> Treatment:
    if not isinstance(rule, Mask):
        return Treatment(Kind(rule))
    if rule.mask == "keep":
        return Treatment(Kind.KEEP, class_=rule.class_)
    return Treatment(Kind.MASK, rule, key_id, class_=rule.class_)
