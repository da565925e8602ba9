"""Random tables of a production: keys, identities, columns, names and masks of every kind.

Here: what a table is, and choosing them by a seed; pure. Not here: what writers do with them
(operations.py), the two account tables (accounts.py).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres import identifiers as sql
from analytics_replica_tests.support.awkward import LONGEST
from analytics_replica_tests.support.model.values import KINDS, TOKEN

SCHEMAS: Final = ("public", "Sales Dept")

TABLE_NAMES: Final = ("select", 'Order "Lines", 2', LONGEST, "Łąka", "plain", "a.b", "50% {t}")

COLUMN_NAMES: Final = (
    "E-Mail", "имя", "order", "user", 'tab\tand "quotes"', "a {{b}} %s", "total", "note", "Straße",
    "lsn", "c0", "op", "rn", "when",
)  # fmt: skip

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "bigint": ("bigint",),
    "text": ("text",),
    "uuid": ("uuid",),
    "composite": ("int", "text"),
    "index": ("text",),
    "full with key": ("int",),
    "keyless": (),
}
"""The families of tables, and the kinds of the columns that identify their rows."""


@dataclass(frozen=True)
class ModelColumn:
    """A column: its name, its kind (values.py), its rule, whether it identifies rows."""

    name: str
    kind: str
    rule: Any
    key: bool = False

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return sql.name(self.name).text

    @property
    def in_statement(self) -> str:
        """The name as SQL of a statement with parameters, where % is written twice."""
        return self.quoted.replace("%", "%%")

    @property
    def definition(self) -> str:
        """The column's part of the table's definition."""
        storage = " storage external" if self.kind == "toast" else ""
        return f"{self.quoted} {KINDS[self.kind].type}{storage}{' not null' if self.key else ''}"


@dataclass(frozen=True)
class ModelTable:
    """A random table of one of the FAMILIES; its name differs from all others'."""

    name: TableName
    family: str
    columns: tuple[ModelColumn, ...]

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return sql.table(self.name).text

    @property
    def in_statement(self) -> str:
        """The name as SQL of a statement with parameters, where % is written twice."""
        return self.quoted.replace("%", "%%")

    @property
    def key(self) -> tuple[ModelColumn, ...]:
        """The columns that identify a row; empty for a keyless table."""
        return tuple(c for c in self.columns if c.key)

    @property
    def others(self) -> tuple[ModelColumn, ...]:
        """The columns beside the key that writers fill."""
        return tuple(c for c in self.columns if not c.key and c.kind != "counter")

    @property
    def listed(self) -> bool:
        """True if the publication lists the table's columns (of a FULL identity it may not)."""
        return self.family not in ("keyless", "full with key")

    @property
    def rules(self) -> dict[str, Any]:
        """The table's part of replica.yaml."""
        return {c.name: c.rule for c in self.columns}

    def ddl(self) -> str:
        """The statements that make the table."""
        columns = ", ".join(c.definition for c in self.columns)
        key = ", ".join(c.quoted for c in self.key)
        identity = ""
        if self.family == "index":
            identity = (
                f"create unique index of_rows on {self.quoted} ({key});"
                f"alter table {self.quoted} replica identity using index of_rows"
            )
        elif not self.listed:
            identity = f"alter table {self.quoted} replica identity full"
        if self.key and self.family != "index":
            columns += f", primary key ({key})"
        return f"create table {self.quoted} ({columns}); {identity}"


def random_tables(rng: random.Random) -> tuple[ModelTable, ...]:
    """One table of each family; names, columns, their order and their masks are random."""
    names = rng.sample(TABLE_NAMES, len(FAMILIES))
    return tuple(
        _table(rng, TableName(rng.choice(SCHEMAS), name), family)
        for name, family in zip(names, FAMILIES, strict=True)
    )


def _table(rng: random.Random, name: TableName, family: str) -> ModelTable:
    kinds = [k for k in KINDS if k not in ("toast", "counter")]
    others = ["toast", "int", *rng.choices(kinds, k=rng.randint(1, 3))]
    free = rng.sample(COLUMN_NAMES, len(FAMILIES[family]) + len(others))
    columns = [
        ModelColumn(free.pop(), kind, TOKEN if rng.random() < 0.3 else "keep", key=True)
        for kind in FAMILIES[family]
    ]
    columns += [ModelColumn(free.pop(), kind, _rule(rng, kind)) for kind in others]
    if family == "index":
        columns.append(ModelColumn("number", "counter", "keep"))
    rng.shuffle(columns)
    return ModelTable(name, family, tuple(columns))


def _rule(rng: random.Random, kind: str) -> Any:
    """Mostly kept, else masked in a way that fits."""
    rules = KINDS[kind].rules
    return rng.choice(rules) if rng.random() < 0.3 else "keep"
